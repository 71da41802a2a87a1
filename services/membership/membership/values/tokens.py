"""Opaque tokens: 256 random bits, of which only the SHA-256 is ever stored."""

import hashlib
import secrets
from typing import NamedTuple


class Token(NamedTuple):
    """``raw`` for its holder, ``digest`` for us."""

    raw: str
    digest: bytes


def new(prefix: str = "") -> Token:
    """A fresh token; ``prefix``: what shows of what kind it is."""
    raw = prefix + secrets.token_urlsafe(32)
    return Token(raw, digest(raw))


def digest(raw: str) -> bytes:
    """What is stored of a token, and looked up by."""
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).digest()
