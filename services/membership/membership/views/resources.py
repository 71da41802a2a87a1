"""What views use besides the database: password hashing, PINs, signing, session limits."""

import secrets
from collections.abc import Callable

from chassis.auth.callers import Caller
from chassis.auth.permissions import KEY
from chassis.http import context, networks, requests
from flask import Response, current_app, g, request

from membership.values import pins as values
from membership.values.clients import Device
from membership.values.lifetimes import SessionLimits
from membership.values.passwords import Hasher, RequestHasher
from membership.values.pins import GuessablePin, Pins
from membership.values.signing import Signer

# Hashes at once of one person.
_HASHES_PER_PERSON = 2


def hasher() -> RequestHasher:
    """The hasher of passwords, as this request may use it: a person has a share of their own, an
    API key and a network that is not signed in most of it."""
    hasher: Hasher = current_app.extensions["hasher"]
    caller: Caller | None = g.get("caller")
    most = max(2, hasher.capacity * 2 // 3)
    if caller is None:
        network = networks.network_of(requests.client_address())
        return RequestHasher(hasher, {network: most}, is_known=False)
    share = most if caller.role == KEY else _HASHES_PER_PERSON
    return RequestHasher(hasher, {caller.sub: share}, is_known=True)


def unknown_hash() -> str:
    """The hash of a password that nobody knows."""
    return hasher().hash(secrets.token_urlsafe(32))


def pins() -> Pins:
    """The hasher of PINs."""
    return Pins(hasher(), *context.settings().peppers)


def with_pin(change: Callable[[str, str], Response]) -> Response:
    """The response to a change that sets a PIN.

    ``change`` gets a new PIN and its hash, made before any lock is taken. It is called again with
    another PIN as long as it raises GuessablePin: only the change knows the extension."""
    while True:
        pin = values.new()
        try:
            return change(pin, pins().hash(pin))
        except GuessablePin:
            continue


def signer() -> Signer:
    """The signer of access tokens."""
    signer: Signer = current_app.extensions["signer"]
    return signer


def limits() -> SessionLimits:
    """The limits of sessions."""
    return SessionLimits.of(context.settings())


def device() -> Device:
    """The caller's address and user agent, the latter without unprintable characters."""
    header = request.headers.get("User-Agent", "")
    printable = "".join(character for character in header if character.isprintable())
    return Device(requests.client_address(), printable)
