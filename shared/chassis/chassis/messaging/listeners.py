"""Listeners: what a service does with each message that it consumes.

A listener is called with the session, the envelope and, as keyword-only parameters, exactly those
fields of the message that it declares:

    def on_thing_changed(session, envelope, *, thing_id, name): ...

So a producer may add a field and no listener notices. One that serves messages of several kinds
may declare ``message`` to get the whole of it.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

from contracts import Message
from sqlalchemy.orm import Session

from chassis.messaging.envelope import Envelope

Listener = Callable[..., None]
Listeners = Mapping[type[Message], Listener]
WHOLE = "message"


def call(listener: Listener, session: Session, envelope: Envelope, message: Message) -> None:
    """Call the listener with what it declares."""
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
    parameters = inspect.signature(listener).parameters.values()
    return tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)
