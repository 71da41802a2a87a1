"""Opaque tokens: 256 random bits, of which only the SHA-256 is ever stored."""

import hashlib
import secrets
from typing import NamedTuple


class Token(NamedTuple):
    """``raw`` is for the holder, ``digest`` for the database."""

    raw: str
    digest: bytes


def new(prefix: str = "") -> Token:
    """A new token; ``prefix`` shows its kind."""
    raw = prefix + secrets.token_urlsafe(32)
    return Token(raw, digest(raw))


def digest(raw: str) -> bytes:
    """The digest that a token is stored and looked up by."""
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).digest()
