"""PINs of people without a login: six digits, none of the kind that is guessed first; how they are
kept; and how long nobody may guess on after wrong ones."""

import hashlib
import hmac
import secrets
from datetime import timedelta

from membership.values.attempt_limits import Limit
from membership.values.passwords import Hasher

# The twenty that people choose most often, but for those that the rules below refuse anyway.
_LIKELY = frozenset(
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

FEW = Limit(5, timedelta(minutes=15))  # for one extension
MANY, LONG_PAUSE = 10, timedelta(hours=1)
TOO_MANY = 20  # since the last right one: only a new PIN helps
OF_ALL = Limit(50, timedelta(minutes=10))  # for all extensions together
KEPT = timedelta(days=30)  # how long a few wrong ones are remembered


class GuessablePin(Exception):
    """This PIN is like the extension of whoever was to have it."""


class Pins:
    """How PINs are kept: mixed with the pepper, then Argon2id. A million candidates are tried in
    hours; not without the pepper, which is not in the database."""

    def __init__(self, hasher: Hasher, pepper: str) -> None:
        self._hasher, self._pepper = hasher, pepper.encode()

    def hash(self, pin: str) -> str:
        """The hash to keep."""
        return self._hasher.hash(self._mixed(pin))

    def matches(self, kept: str | None, pin: str) -> bool:
        """Whether the PIN is the one; as much work when there is none to compare with."""
        return self._hasher.matches(kept, self._mixed(pin))

    def _mixed(self, pin: str) -> str:
        return hmac.new(self._pepper, f"pin {pin}".encode(), hashlib.sha256).hexdigest()


def new() -> str:
    """A PIN that is not trivially weak."""
    while True:
        pin = f"{secrets.randbelow(1_000_000):06d}"
        if not is_weak(pin):
            return pin


def is_weak(pin: str) -> bool:
    """Whether it is among the first that somebody would try: hardly two digits, a run of four,
    repeated parts, a year, one of the twenty best known."""
    return (
        pin in _LIKELY
        or len(set(pin)) < 3
        or any(run[i : i + 4] in pin for run in _RUNS for i in range(len(run) - 3))
        or pin[:3] == pin[3:]
        or pin[:2] == pin[2:4] == pin[4:]
        or pin[::2] == pin[1::2]
        or pin[:2] in ("19", "20")
        or pin[2:4] in ("19", "20")
    )


def check(pin: str, extension: str | None) -> None:
    """Raise GuessablePin for one that has the digits of the extension in it, or is part of them."""
    digits = "".join(c for c in extension or "" if c in "0123456789")
    if len(digits) >= 3 and (digits in pin or pin in digits):
        raise GuessablePin()


def guesses_key(organization_id: str, extension: str = "") -> str:
    """Under what wrong PINs are counted: of an extension, or of all together."""
    return f"pin:{organization_id}:{extension}"
