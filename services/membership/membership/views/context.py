"""What the views of this service reach for beside their database."""

from chassis import here
from flask import current_app, request

from membership.values.lifetimes import SessionLimits
from membership.values.passwords import Hasher
from membership.values.signing import Signer


def hasher() -> Hasher:
    """How passwords are kept."""
    found: Hasher = current_app.extensions["hasher"]
    return found


def signer() -> Signer:
    """How access tokens are signed."""
    found: Signer = current_app.extensions["signer"]
    return found


def limits() -> SessionLimits:
    """How long sessions last."""
    return SessionLimits.of(here.settings())


def user_agent() -> str:
    """What the caller calls itself, as far as it can be shown."""
    return "".join(c for c in request.headers.get("User-Agent", "") if c.isprintable())
