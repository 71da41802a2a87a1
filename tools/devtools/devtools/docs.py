"""Generated documents: messages and permissions in ``docs/``, and the permissions for the console."""

import inspect
import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from chassis.auth.permissions import COLUMNS, CUSTOMER, NOT, STAFF, Row
from chassis.runtime.service import Service
from clientele.embedded import SERVICES
from contracts import OUTSIDERS
from contracts.message import Message, every_message

from devtools import sagas

ROOT = Path(__file__).parents[3]
_WRITTEN = "<!-- Written by `make docs` from the code. Change the code, not this page. -->"
_JSON = {str: "text", int: "whole number", bool: "true or false"}
_HEADS = [
    *(f"staff: {role}" for role in STAFF),
    *(f"customer: {role}" for role in CUSTOMER),
    "acting",
]
_SCOPES = ("key: provider's", "key: customer's")
_YES_NO = {True: "yes", False: "no"}
_MARKS = {"x": "x", "!": "!", "-": ""}


def write() -> list[str]:
    """Regenerate the pages; returns the names of those that were out of date."""
    stale = [name for name, text in pages().items() if not _is(ROOT / name, text)]
    for name in stale:
        (ROOT / name).write_text(pages()[name])
    return stale


def pages() -> dict[str, str]:
    """Name -> text."""
    return {
        "docs/messages.md": _page(_messages()),
        "docs/permissions.md": _page(_permissions()),
        "docs/sagas.md": _page(("# Sagas", "", _WRITTEN, "", *sagas.page())),
        "services/console/console/values/operations.json": json.dumps(_permits(), indent=1) + "\n",
    }


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def _page(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def _messages() -> Iterator[str]:
    yield from (
        "# Messages",
        "",
        _WRITTEN,
        "",
        "The messages between the services. A command is imperative, an event is in the past tense; the",
        "part of the type before the first dot is the only service that may publish it. Each message",
        "is sent as the `data` of a CloudEvents 1.0 envelope in JSON whose `type` is also the routing",
        "key. Ignore fields that you do not know. How a message may change:",
        "[decision 8](decisions/0008-message-versions.md).",
        "",
        "Programs outside can receive those that are *public*, as the [integration",
        "guide](integrators.md#receiving-messages) says; *consumed by* names the services of this system",
        "that must receive it.",
        "",
    )
    for service in SERVICES:
        yield from _traffic(service)
    for name in OUTSIDERS:
        yield from _from_outside(name)
    yield from ("## Each message", "")
    for kind in every_message():
        yield from _message(kind)
    yield from ("## Parts", "")
    for part in sorted(
        {p for kind in every_message() for p in _parts(kind)}, key=lambda p: p.__name__
    ):
        yield from (f"### {part.__name__}", "", _meaning(part), "", *_fields(part), "")


def _traffic(service: Service) -> Iterator[str]:
    published = [kind for kind in every_message() if kind.producer() == service.name]
    consumed = sorted(service.listeners, key=lambda kind: kind.TYPE)
    if not published and not consumed:
        return
    yield from (f"## {service.name}", "", "| publishes | consumed by | public |", "|---|---|---|")
    yield from (
        f"| {_link(kind)} | {', '.join(kind.CONSUMERS) or 'nothing yet'} | {_YES_NO[kind.PUBLIC]} |"
        for kind in published
    )
    yield from ("", "| consumes |", "|---|", *(f"| {_link(kind)} |" for kind in consumed), "")


def _from_outside(name: str) -> Iterator[str]:
    published = [kind for kind in every_message() if kind.producer() == name]
    yield from (
        f"## {name}",
        "",
        "Not a service of Clientele: the provider's own metering and rating. It logs in to the broker",
        f"as `{name}` (`deploy/secrets.py` creates the login), which may publish to the exchange",
        f"`{name}` and do nothing else. The routing key is the type, the property `user_id` must be",
        f"`{name}`; publish persistent and mandatory messages with confirms, and send a message again",
        "if it was returned or not confirmed. The body is the envelope:",
        "",
        "```json",
        f'{{"specversion": "1.0", "id": "evt_01k9jm6n5pfzq7r9s1t3v5w7x9", "source": "/{name}",',
        f' "type": "{published[0].TYPE}", "subject": "org_01k9jm2n7tfx9r8b3y0wz5v6qd", "sequence": "1",',
        ' "time": "2026-01-31T09:00:00Z", "datacontenttype": "application/json", "data": {}}',
        "```",
        "",
        "`id`: `evt_` and a UUIDv7, as a TypeID; the same id only for the same message. `subject`: the",
        "organization. `sequence`: any positive whole number; order does not matter here.",
        "",
        "| publishes | consumed by |",
        "|---|---|",
        *(f"| {_link(kind)} | {', '.join(kind.CONSUMERS)} |" for kind in published),
        "",
    )


def _message(kind: type[Message]) -> Iterator[str]:
    order = f"in order per `{kind.AGGREGATE}`" if kind.ORDERED else "in no order"
    yield from (
        f"### {kind.TYPE}",
        "",
        _meaning(kind),
        "",
        f"Published by {kind.producer()}, consumed by {', '.join(kind.CONSUMERS) or 'nothing yet'}; {order}.",
        "",
        *_fields(kind),
        "",
    )


def _fields(kind: type[Any]) -> Iterator[str]:
    hints = get_type_hints(kind)
    yield from ("| field | is |", "|---|---|")
    yield from (f"| `{field.name}` | {_type(hints[field.name])} |" for field in fields(kind))


def _type(hint: Any) -> str:
    if isinstance(hint, UnionType):
        return f"{_type(next(a for a in get_args(hint) if a is not type(None)))}, or nothing"
    if get_origin(hint) is list:
        return f"list of {_type(get_args(hint)[0])}"
    if is_dataclass(hint):
        name = getattr(hint, "__name__", "")
        return f"[{name}](#{name.lower()})"
    return "object" if hint is dict or get_origin(hint) is dict else _JSON[hint]


def _parts(kind: type[Any]) -> Iterator[type[Any]]:
    for hint in get_type_hints(kind).values():
        for inner in (hint, *get_args(hint)):
            if isinstance(inner, type) and is_dataclass(inner):
                yield inner


def _meaning(kind: type[Any]) -> str:
    return (inspect.getdoc(kind) or "").replace("``", "`")


def _link(kind: type[Message]) -> str:
    return f"[{kind.TYPE}](#{kind.TYPE.replace('.', '')})"


def _permissions() -> Iterator[str]:
    yield from (
        "# Permissions",
        "",
        _WRITTEN,
        "",
        "Who may do what, service by service. The provider's staff have access to the provider's own",
        "organization and all of its customers; a customer's members to their own organization only.",
        "Another organization does not exist for them (404); what they may not do is refused (403).",
        "*acting*: whether it is allowed during Login As or Remote Support; the impersonated role must",
        "allow it too. *!*: only within five minutes of re-authentication, where the provider requires",
        "it (`POST /v1/me/step-up`). An API key has no role: it may do what one of its scopes allows.",
        "",
    )
    heads = [*_HEADS, *_SCOPES]
    for service in SERVICES:
        rows = import_module(f"{service.name}.guard").OPERATIONS.rows
        if not rows:
            continue
        yield from (
            f"## {service.name}",
            "",
            f"| operation | {' | '.join(heads)} |",
            f"|---|{':-:|' * len(heads)}",
        )
        for operation, row in rows.items():
            marks = [_MARKS[row.marks[column]] for column in COLUMNS]
            scopes = [
                f"`{row.scopes[kind]}`" if kind in row.scopes else ""
                for kind in ("provider", "customer")
            ]
            yield f"| `{operation}` | {' | '.join([*marks, *scopes])} |"
        yield ""


def _permits() -> dict[str, Any]:
    """Operation -> the roles that may, by kind of organization, and whether support may in a
    customer's place."""
    rows: dict[str, Row] = {}
    for service in SERVICES:
        rows |= import_module(f"{service.name}.guard").OPERATIONS.rows
    return {
        name: {
            "provider": [role for role in STAFF if row.marks[f"provider:{role}"] != NOT],
            "customer": [role for role in CUSTOMER if row.marks[f"customer:{role}"] != NOT],
            "acting": row.marks["acting"] != NOT,
        }
        for name, row in rows.items()
    }
