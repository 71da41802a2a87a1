"""The forms behind mailed links: a password, and asking for a link."""

from collections.abc import Sequence

from console.forms import Field

EMAIL = Field("email", "E-mail address", kind="email", autocomplete="username", most=320)
RULES = (
    "At least 15 characters (8, if you sign in with one-time codes), at most 128: a few words that have nothing "
    "to do with you, spaces and all, or what your password manager makes. Pasting is fine. Not your name, your "
    "address or the name of your organization."
)


def password(name: str, label: str) -> Field:
    """A password to choose, with its rules said before."""
    return Field(name, label, kind="password", hint=RULES, autocomplete="new-password", most=1024)


def choosing() -> Sequence[Field]:
    """The field of somebody's first or next password."""
    return (password("password", "New password"),)
