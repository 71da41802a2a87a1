"""One-time codes (TOTP: six digits, a step of 30 seconds), and the recovery codes beside them."""

import secrets
from datetime import datetime

import pyotp

NUMBER = 10
_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # none that is read as another


def new_secret() -> str:
    """A fresh secret: 160 bits, in base32."""
    return pyotp.random_base32()


def uri(secret: str, *, email: str, issuer: str) -> str:
    """The secret as authenticator apps read it from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def step_of(secret: str, otp: str, now: datetime, *, after: int) -> int | None:
    """The step this code belongs to: the present one, the one before or the one to come, if it is later than
    ``after``. None: it is no good."""
    totp = pyotp.TOTP(secret)
    present = totp.timecode(now)
    given = plain(otp).encode("utf-8", "surrogatepass")
    codes = {step: totp.generate_otp(step).encode() for step in (present - 1, present, present + 1)}
    fits = [step for step, code in codes.items() if secrets.compare_digest(code, given)]
    return next((step for step in fits if step > after), None)


def new_recovery_codes() -> list[str]:
    """Ten fresh codes, of 79 random bits each."""
    return [
        "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
        for _ in range(NUMBER)
    ]


def plain(code: str) -> str:
    """A code without what people put between its parts."""
    return "".join(code.split()).replace("-", "").lower()
