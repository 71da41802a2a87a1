"""What the views of this service reach for beside their database."""

from collections.abc import Callable

from chassis.http import context
from flask import Response, current_app, request

from membership.values import pins as values
from membership.values.lifetimes import SessionLimits
from membership.values.passwords import Hasher
from membership.values.pins import GuessablePin, Pins
from membership.values.signing import Signer


def hasher() -> Hasher:
    """How passwords are kept."""
    found: Hasher = current_app.extensions["hasher"]
    return found


def pins() -> Pins:
    """How PINs are kept."""
    return Pins(hasher(), context.settings().pepper)


def with_pin(change: Callable[[str, str], Response]) -> Response:
    """The answer of a change that gives somebody a PIN; it is handed a new one and its hash, made
    before any lock is taken, and others as long as they are like the extension they are for, which
    only the change finds out."""
    while True:
        pin = values.new()
        try:
            return change(pin, pins().hash(pin))
        except GuessablePin:
            continue


def signer() -> Signer:
    """How access tokens are signed."""
    found: Signer = current_app.extensions["signer"]
    return found


def limits() -> SessionLimits:
    """How long sessions last."""
    return SessionLimits.of(context.settings())


def user_agent() -> str:
    """What the caller calls itself, as far as it can be shown."""
    return "".join(c for c in request.headers.get("User-Agent", "") if c.isprintable())
