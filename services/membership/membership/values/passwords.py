"""Passwords and PINs: which are taken, and how they are kept."""

import threading
import unicodedata
from collections.abc import Iterable
from importlib import resources

import argon2
from chassis import errors

SHORTEST, LONGEST = 12, 128
AT_ONCE = 2


class Hasher:
    """Argon2id. Only so many run at once, so that logins don't starve everything else."""

    def __init__(self, *, memory_kib: int = 19456, passes: int = 2, at_once: int = AT_ONCE) -> None:
        self._argon2 = argon2.PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
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
                return self._argon2.verify(kept or self._nobodys, _normal(password)) and kept is not None
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False

    def is_dated(self, kept: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._argon2.check_needs_rehash(kept)


def check(password: str, *, context: Iterable[str]) -> None:
    """Raise Invalid unless the password is long enough and not one that is tried first. ``context``: words that
    everybody who knows the person would try."""
    text = _normal(password)
    if not SHORTEST <= len(text) <= LONGEST:
        raise _refused("length", f"Choose a password of {SHORTEST} to {LONGEST} characters.")
    folded = text.casefold()
    if folded in _breached() or len(set(folded)) < 5:
        raise _refused("breached", "This password is known to everybody who guesses passwords. Choose another one.")
    if any(len(word) >= 4 and word.casefold() in folded for word in context):
        raise _refused("guessable", "Choose a password without your address or your organization's name in it.")


def _refused(code: str, detail: str) -> errors.Invalid:
    return errors.invalid("/password", code, detail)


def _normal(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


def _breached() -> frozenset[str]:
    text = resources.files("membership.values").joinpath("breached.txt").read_text()
    return frozenset(text.split())
