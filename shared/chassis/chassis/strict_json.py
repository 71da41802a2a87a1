"""Reading JSON that can be read in one way only."""

import json
from typing import Any


def loads(text: str) -> Any:
    """The value of a JSON text. Raises ValueError for what JSON libraries disagree about:
    duplicate keys, NaN, infinities."""
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate keys")
    return members


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
