"""Protection against forged forms: where a form was sent from, and the token it carries."""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac

from flask import request

from console.guard.cookies import is_secure

_SAFE = ("GET", "HEAD", "OPTIONS")
_LENGTH = 32


class Forged(Exception):
    """The form did not come from one of our own pages."""


def check_origin() -> None:
    """Refuse a form that was sent from another site. Raises Forged.

    Browsers state the origin (Sec-Fetch-Site, Origin) and a page cannot change that. Signed-in
    users' forms carry a token as well."""
    if request.method in _SAFE:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site not in (None, "same-origin", "none"):
        raise Forged
    # Pages with the referrer policy "no-referrer" send the origin "null".
    is_hidden = origin == "null" and site == "same-origin"
    if origin is not None and not is_hidden and origin not in _own_origins():
        raise Forged


def check_token(secret: str) -> None:
    """Refuse a form without the token of this browser. Raises Forged."""
    if request.method in _SAFE:
        return
    given = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
    try:
        raw = urlsafe_b64decode(given.encode())
    except ValueError:
        raise Forged from None
    if len(raw) != 2 * _LENGTH:
        raise Forged
    if not compare_digest(_xor(raw[:_LENGTH], raw[_LENGTH:]), _token(secret)):
        raise Forged


def csrf(secret: str) -> str:
    """The token for the forms of a page. Its mask differs on each page, so that the size of a
    compressed page reveals nothing about it."""
    mask = secrets.token_bytes(_LENGTH)
    return urlsafe_b64encode(mask + _xor(mask, _token(secret))).decode()


def _own_origins() -> tuple[str, ...]:
    https = f"https://{request.host}"
    return (https,) if is_secure() else (https, f"http://{request.host}")


def _token(secret: str) -> bytes:
    return hmac(secret.encode(), b"csrf", sha256).digest()


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))
