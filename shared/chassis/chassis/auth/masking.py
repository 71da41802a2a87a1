"""Taking the names of a person out of what others may read."""

import re
from collections.abc import Iterable
from functools import partial
from typing import Any


def without_names(
    part: Any, names: Iterable[str | None], *, instead: str, exact: Iterable[str] = ()
) -> Any:
    """``part`` with ``instead`` in place of every name that stands in one of its texts as a whole
    word: ``names`` in any case, ``exact`` only as they are written. Lists and objects are searched,
    empty names ignored."""
    patterns = [f"(?i:{re.escape(name)})" for name in names if name]
    patterns += [re.escape(name) for name in exact if name]
    if not patterns:
        return part
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)")
    return _replace(part, partial(pattern.sub, instead))


def _replace(part: Any, replace: Any) -> Any:
    if isinstance(part, dict):
        return {key: _replace(value, replace) for key, value in part.items()}
    if isinstance(part, list):
        return [_replace(value, replace) for value in part]
    return replace(part) if isinstance(part, str) else part
