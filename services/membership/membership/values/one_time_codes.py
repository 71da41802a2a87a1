"""One-time codes (TOTP: six digits, steps of 30 seconds) and recovery codes."""

import secrets
import unicodedata
from datetime import datetime

import pyotp

RECOVERY_CODES = 10
_MAX_ISSUER = 40  # so that the URI fits a QR code that a phone can read
_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # none that can be mistaken for another


def new_secret() -> str:
    """A new secret: 160 bits in base32."""
    return pyotp.random_base32()


def uri(secret: str, *, email: str, issuer: str) -> str:
    """The secret as a URI for a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer[:_MAX_ISSUER])


def step_of(secret: str, otp: str, now: datetime, *, after: int) -> int | None:
    """The time step of this code: the current one, the previous or the next, if it is later than
    ``after``. None: the code is wrong."""
    totp = pyotp.TOTP(secret)
    current = totp.timecode(now)
    given = plain(otp).encode("utf-8", "surrogatepass")
    matching_step = None
    for step in (current + 1, current, current - 1):  # all three, in constant time
        matches = secrets.compare_digest(totp.generate_otp(step).encode(), given)
        if matches and step > after:
            matching_step = step
    return matching_step


def new_recovery_codes() -> list[str]:
    """Ten new codes of 79 random bits each."""
    return [_recovery_code() for _ in range(RECOVERY_CODES)]


def plain(code: str) -> str:
    """The code without spaces and hyphens, in lower case, with 0-9 for the digits of any script."""
    text = "".join(unicodedata.normalize("NFKC", code).split()).replace("-", "").lower()
    return "".join(str(unicodedata.decimal(character, character)) for character in text)


def _recovery_code() -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(16))
    return "-".join(letters[start : start + 4] for start in range(0, 16, 4))
