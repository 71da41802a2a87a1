"""The login that a new installation starts with."""

from typing import NamedTuple


class FirstLogin(NamedTuple):
    """``password`` is None if the settings gave it or the person already has one."""

    email: str
    password: str | None

    def sentence(self) -> str:
        """What the command prints."""
        if self.password is None:
            return f"Log in as {self.email} with your password."
        return f"Log in as {self.email} with the password {self.password}."
