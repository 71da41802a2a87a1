"""The forms behind links from emails: choose a password, request a link."""

from collections.abc import Sequence

from console.forms import Field

EMAIL = Field("email", "Email address", kind="email", autocomplete="username", max_length=320)
PASSWORD = Field("password", "Password", kind="password", autocomplete="current-password")
RULES = (
    "Use 15 to 128 characters (at least 8 if you sign in with one-time codes). Use a few unrelated "
    "words, spaces included, or a password from your password manager. Don't use your name, your "
    "email address or the name of your organization."
)


def password(name: str, label: str) -> Field:
    """A field for a new password, with its rules."""
    return Field(
        name, label, kind="password", hint=RULES, autocomplete="new-password", max_length=1024
    )


def choosing() -> Sequence[Field]:
    """The field for a first or a new password."""
    return (password("password", "New password"),)
