"""The page about the sagas of an organization, from the table that they run by."""

import inspect
from collections.abc import Iterator
from typing import get_type_hints

from contracts import Message
from org.sagas import TABLE
from org.sagas.table import Request, Transition


def page() -> Iterator[str]:
    """Lines of Markdown."""
    yield from (
        "An organization is in one saga at most. A saga begins in the first state that the table",
        "has for it. On entering a state its request is sent, and sent again after 30, 60, 90 …",
        "seconds until a reply arrives; from the third time on it is also logged as an error",
        "(`saga.stuck`). A reply that is not waited for is late or repeated and changes nothing,",
        "unless the table says otherwise. Why it works like this:",
        "[decision 10](decisions/0010-deletion-is-a-saga.md).",
        "",
        "| saga | waits for | request | reply | then | what the reply changes |",
        "|---|---|---|---|---|---|",
    )
    for reply, row in TABLE.items():
        cells = (row.saga, row.waiting_for, request_type(row.request).__name__, reply.__name__)
        yield f"| {' | '.join(cells)} | {_then(row)} | {_effect(row)} |"


def request_type(request: Request) -> type[Message]:
    """The message that a builder of requests returns."""
    kind: type[Message] = get_type_hints(request)["return"]
    return kind


def _then(row: Transition) -> str:
    return f"waits for {row.next}" if row.next else "ends"


def _effect(row: Transition) -> str:
    meaning = _meaning(row.effect)
    if row.late is not None:
        meaning += f" A late reply: {_meaning(row.late)}"
    return meaning


def _meaning(function: object) -> str:
    return " ".join((inspect.getdoc(function) or "").split()) if function else ""
