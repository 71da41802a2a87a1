"""Listeners: what a service does with each message that it consumes.

A listener is called with the session, the envelope and, as keyword-only parameters, exactly those
fields of the message that it declares:

    def on_thing_changed(session, envelope, *, thing_id, name): ...

So a producer may add a field and no listener notices. One that serves messages of several kinds
may declare ``message`` to get the whole of it.

For a kind that comes often, a service may have a ``GroupListener`` instead.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, TypeVar

from contracts import Message
from sqlalchemy.orm import Session

from chassis.messaging.envelope import Envelope

M = TypeVar("M")
# Messages of one kind, each with its envelope, in their order.
Group = Sequence[tuple[Envelope, M]]


@dataclass(frozen=True)
class GroupListener:
    """A listener for several messages of one kind at once, with few statements for all of them.

    ``apply(session, group)`` publishes nothing. Messages of kinds that are applied in groups may
    overtake one another within a batch, those of one kind never."""

    apply: Callable[[Session, Group[Any]], None]


Listener = Callable[..., None] | GroupListener
Listeners = Mapping[type[Message], Listener]
WHOLE = "message"


def call(listener: Listener, session: Session, envelope: Envelope, message: Message) -> None:
    """Call the listener with what it declares."""
    if isinstance(listener, GroupListener):
        listener.apply(session, [(envelope, message)])
        return
    arguments: dict[str, Any] = {}
    for name in declared(listener):
        arguments[name] = message if name == WHOLE else getattr(message, name)
    listener(session, envelope, **arguments)


def check(listeners: Listeners) -> None:
    """Raise TypeError if a listener declares a field that its message does not have."""
    for kind, listener in listeners.items():
        known = {WHOLE, *(field.name for field in fields(kind))}
        for name in declared(listener):
            if name not in known:
                raise TypeError(f"a listener declares {name!r}, which {kind.TYPE} does not have")


@lru_cache(maxsize=256)
def declared(listener: Listener) -> tuple[str, ...]:
    """The names of the listener's keyword-only parameters."""
    if isinstance(listener, GroupListener):
        return ()
    parameters = inspect.signature(listener).parameters.values()
    return tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)
