"""PINs of people without a login: six digits, none that is easily guessed, and how they are
hashed."""

import hashlib
import hmac
import secrets

from membership.values.passwords import Hasher, RequestHasher

# The twenty most common ones that the rules below do not refuse anyway.
_COMMON = frozenset(
    {
        "007007",
        "100200",
        "123321",
        "123654",
        "142536",
        "147258",
        "147852",
        "159357",
        "159753",
        "258369",
        "258456",
        "321654",
        "369258",
        "456123",
        "520520",
        "696969",
        "741852",
        "753951",
        "789456",
        "963852",
    }
)
_RUNS = ("01234567890", "09876543210")


class GuessablePin(Exception):
    """The PIN resembles the extension it is for."""


class Pins:
    """Hashes PINs: keyed with the pepper, then Argon2id.

    All million PINs can be tried in hours, but not without the pepper, which is not in the
    database."""

    def __init__(self, hasher: Hasher | RequestHasher, pepper: str, *previous: str) -> None:
        self._hasher = hasher
        self._peppers = [key.encode() for key in (pepper, *previous)]

    def hash(self, pin: str) -> str:
        """The hash to store."""
        return self._hasher.hash(_keyed(pin, self._peppers[0]))

    def matches(self, stored: str | None, pin: str) -> bool:
        """Whether the PIN is right, under any pepper. Does the same work when there is no stored
        hash."""
        return any(self._hasher.matches(stored, _keyed(pin, pepper)) for pepper in self._peppers)


def _keyed(pin: str, pepper: bytes) -> str:
    return hmac.new(pepper, f"pin {pin}".encode(), hashlib.sha256).hexdigest()


def new() -> str:
    """A random PIN that is not easily guessed."""
    while True:
        pin = f"{secrets.randbelow(1_000_000):06d}"
        if not is_weak(pin):
            return pin


def is_weak(pin: str) -> bool:
    """Whether it is easily guessed: fewer than three different digits, a run of four, repeated
    parts, a year, or one of the most common PINs."""
    return (
        pin in _COMMON
        or len(set(pin)) < 3
        or any(run[i : i + 4] in pin for run in _RUNS for i in range(len(run) - 3))
        or pin[:3] == pin[3:]
        or pin[:2] == pin[2:4] == pin[4:]
        or pin[::2] == pin[1::2]
        or pin[:2] in ("19", "20")
        or pin[2:4] in ("19", "20")
    )


def check(pin: str, extension: str | None) -> None:
    """Raise GuessablePin if the PIN contains the digits of the extension, or they contain it."""
    digits = "".join(char for char in extension or "" if char in "0123456789")
    if len(digits) >= 3 and (digits in pin or pin in digits):
        raise GuessablePin()
