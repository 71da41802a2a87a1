"""One golden file per message with its body as sent. ``python -m tests.house.golden`` writes them.

A message may gain an optional field; its golden file is then regenerated. Any other change is a new
message with the next version, so a file that its class can no longer read is never overwritten.
"""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import marshmallow
from contracts.message import Message, every_message

from tests.house.workspace import ROOT

FOLDER = ROOT / "tests" / "contracts" / "golden"

# The value of a field with this name; every other text field holds its own name.
_TEXTS = {
    "organization_id": "org_01k9jm2n7tfx9r8b3y0wz5v6qd",
    "provider_id": "org_01k9jm0a4cexgvq5m2r7s8t9wx",
    "deletion_id": "del_01k9jm4h6jf2sb9c1d0e5f7g8h",
    "conversation_id": "cnv_01k9jm5k3mf8pt2v4w6x7y9z0a",
    "entry_id": "evt_01k9jm6n5pfzq7r9s1t3v5w7x9",
    "acting_id": "ses_01k9jm3p9sfv5w7x9y1z3a5b7c",
    "member_id": "mem_01k9jm7q7rfb1c3d5e7f9g1h3j",
    "request_id": "evt_01k9jm8s9tfd5e7f9g1h3j5k7m",
    "currency": "EUR",
    "country": "DE",
    "timezone": "Europe/Berlin",
    "payment_mode": "prepaid",
    "managed_by": "provider",
    "email": "ada@example.com",
    "name": "Ünïcode & Sons <x>",
    "code": "credits_left",
    "outcome": "ok",
    "at": "2026-01-31T09:00:00.000000Z",
    "oldest_due_on": "2026-01-15",
    "as_of": "2026-01-31T09:00:00.000001Z",
    "purge_at": "2026-03-02T09:00:00.000000Z",
    "started_at": "2026-01-31T09:00:00.000000Z",
    "ended_at": "2026-01-31T09:30:00.000000Z",
    "finished_at": "2026-01-31T09:01:00.000000Z",
    "hash": "0" * 64,
}
_AMOUNTS = {
    "amount",
    "amount_due",
    "balance",
    "credit_limit",
    "overdue_amount",
    "reserved_credits",
    "usable_credits",
}


def path(kind: type[Message]) -> Path:
    return FOLDER / f"{kind.TYPE}.json"


def text(message: Message) -> str:
    """The content of the golden file."""
    return json.dumps(message.dump(), indent=2, ensure_ascii=False) + "\n"


def representative(kind: type) -> Any:
    """An instance with a value in every field, including optional ones."""
    hints = get_type_hints(kind)
    return kind(**{f.name: _value(f.name, hints[f.name]) for f in dataclasses.fields(kind)})


def _value(name: str, hint: Any) -> Any:
    if isinstance(hint, UnionType):
        return _value(name, next(a for a in get_args(hint) if a is not type(None)))
    if get_origin(hint) is list:
        return [_value(name, get_args(hint)[0])]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return representative(hint)
    if hint is dict or get_origin(hint) is dict:
        return {"name": name, "nested": {"none": None, "list": [1, "two"]}}
    if hint is str:
        return "-12.500001" if name in _AMOUNTS else _TEXTS.get(name, name)
    return {int: 7, bool: True, datetime: datetime(2026, 1, 31, 9, tzinfo=UTC)}[hint]


def write(kind: type[Message]) -> bool:
    """Write the file if it is out of date; returns whether it was. Raises ValueError if the class
    cannot read the previous file."""
    wanted, file = text(representative(kind)), path(kind)
    if file.exists():
        before = file.read_text()
        if before == wanted:
            return False
        try:
            removed = _names(json.loads(before)) - _names(json.loads(wanted))
            kind.load(json.loads(before))
        except marshmallow.ValidationError as problem:
            raise ValueError(
                f"{kind.TYPE} cannot read its golden file ({problem}): publish a new version"
            ) from problem
        if removed:
            raise ValueError(f"{kind.TYPE} no longer has {sorted(removed)}: publish a new version")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(wanted)
    return True


def _names(body: Any, before: str = "") -> set[str]:
    if isinstance(body, dict):
        return {f"{before}/{k}" for k in body} | {
            n for k, v in body.items() for n in _names(v, f"{before}/{k}")
        }
    return {n for item in body for n in _names(item, before)} if isinstance(body, list) else set()


if __name__ == "__main__":
    for kind_ in every_message():
        if write(kind_):
            print(path(kind_).relative_to(ROOT))
