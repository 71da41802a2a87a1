"""The login that a new installation begins with."""

from typing import NamedTuple


class Login(NamedTuple):
    """The first login; ``password`` is None where the settings gave it or the person has one
    already."""

    email: str
    password: str | None

    def told(self) -> str:
        """In words, for whoever started it."""
        return f"Log in as {self.email} with the password {self.password or 'you know'}."
