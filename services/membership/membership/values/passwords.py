"""Passwords and PINs: which are taken, and how they are kept."""

import re
import threading
import unicodedata
from collections.abc import Iterable

import argon2
from chassis import errors

from membership.values import common_passwords

SHORTEST, SHORTEST_WITH_CODES, LONGEST = 15, 8, 128
PRODUCT = "clientele"
AT_ONCE = 2


class Hasher:
    """Argon2id. Only so many run at once, so that logins don't starve everything else."""

    def __init__(self, *, memory_kib: int = 19456, passes: int = 2, at_once: int = AT_ONCE) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=1
        )
        self._seats = threading.BoundedSemaphore(at_once)
        self._nobodys = self.hash("nobody has this password")

    def hash(self, password: str) -> str:
        """The hash to keep."""
        with self._seats:
            return self._argon2.hash(_normal(password))

    def matches(self, kept: str | None, password: str) -> bool:
        """Whether the password is the one; as much work when there is none to compare with."""
        with self._seats:
            try:
                return (
                    self._argon2.verify(kept or self._nobodys, _normal(password))
                    and kept is not None
                )
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False

    def is_dated(self, kept: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._argon2.check_needs_rehash(kept)


def check(
    password: str, *, context: Iterable[str], with_codes: bool = False, pointer: str = "/password"
) -> None:
    """Raise Invalid unless the password is long enough, alone or beside one-time codes, and not one
    that is tried first. ``context``: words that everybody who knows the person would try."""
    text = _normal(password)
    shortest = SHORTEST_WITH_CODES if with_codes else SHORTEST
    if not shortest <= len(text) <= LONGEST:
        raise errors.invalid(
            pointer, "length", f"Choose a password of {shortest} to {LONGEST} characters."
        )
    folded = text.casefold()
    if common_passwords.is_known(folded) or len(set(folded)) < 5:
        raise errors.invalid(
            pointer,
            "breached",
            "This password is known to everybody who guesses passwords. Choose another one.",
        )
    if any(word in folded for word in _words(context)):
        raise errors.invalid(
            pointer,
            "guessable",
            "Choose a password without your name, your address or your organization's name in it.",
        )


def is_short(password: str) -> bool:
    """Whether it is too short to be used without one-time codes."""
    return len(_normal(password)) < SHORTEST


def _words(context: Iterable[str]) -> set[str]:
    """The whole and the parts, of those long enough to give something away."""
    words = {PRODUCT}
    for text in (_normal(one).casefold() for one in context):
        words |= {text, *re.split(r"[\W_]+", text)}
    return {word for word in words if len(word) >= 4}


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
