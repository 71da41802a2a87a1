"""Reading JSON that can be read in one way only."""

import json
import math
from typing import Any


def loads(text: str) -> Any:
    """The value of a JSON text. Raises ValueError for what JSON libraries disagree about
    (duplicate keys, NaN, infinities, numbers that are too large), RecursionError for a value that
    is nested too deeply."""
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)


def is_storable(value: Any) -> bool:
    """Whether every database can store the texts in a JSON value: without NUL and lone
    surrogates."""
    inside = [value]
    while inside:
        each = inside.pop()
        if isinstance(each, dict):
            inside += [*each.keys(), *each.values()]
        elif isinstance(each, list):
            inside += each
        elif isinstance(each, str) and not _is_storable_text(each):
            return False
    return True


def _is_storable_text(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate keys")
    return members


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is too large")
    return number
