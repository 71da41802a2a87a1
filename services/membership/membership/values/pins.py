"""PINs of people without a login: six digits, none of the kind that is guessed first."""

import secrets

_LIKELY = frozenset(
    {"112233", "121212", "123123", "123321", "131313", "159753", "147258", "159357", "696969", "789456", "202020"}
)
_RUNS = ("01234567890", "09876543210")


def new() -> str:
    """A PIN that is not trivially weak."""
    while True:
        pin = f"{secrets.randbelow(1_000_000):06d}"
        if not is_weak(pin):
            return pin


def is_weak(pin: str) -> bool:
    """Whether it is among the first that somebody would try: one digit, a run of four, repeated parts, a year."""
    return (
        pin in _LIKELY
        or len(set(pin)) < 3
        or any(run[i : i + 4] in pin for run in _RUNS for i in range(len(run) - 3))
        or pin[:3] == pin[3:]
        or pin[:2] == pin[2:4] == pin[4:]
        or pin[:2] in ("19", "20")
    )
