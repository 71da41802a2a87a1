"""The forms about oneself: one-time codes, another password, API keys."""

from collections.abc import Sequence
from typing import Any

from console.forms import Field, Form
from console.forms.links import password
from console.values.scopes import SCOPES

OTP = Field(
    "otp",
    "One-time code",
    autocomplete="one-time-code",
    most=64,
    hint="The six digits your authenticator app shows now.",
)
PASSWORD: Sequence[Field] = (
    Field(
        "password", "Password so far", kind="password", autocomplete="current-password", most=1024
    ),
    Field(
        "otp",
        "One-time code",
        autocomplete="one-time-code",
        most=64,
        required=False,
        hint="Only if you sign in with one-time codes.",
    ),
    password("new_password", "New password"),
)
ROTATION: Sequence[Field] = (
    Field(
        "overlap_minutes",
        "The key so far stays good for",
        kind="select",
        options=(
            ("60", "An hour"),
            ("1440", "A day"),
            ("10080", "A week"),
            ("0", "Not at all: it is dead at once"),
        ),
    ),
)


def key(scopes: Sequence[str]) -> Sequence[Field]:
    """The fields of a new API key, which may have these scopes."""
    boxes = [
        Field(
            _box(scope), SCOPES[scope], kind="checkbox", pointer=f"/{_box(scope)}", required=False
        )
        for scope in scopes
    ]
    return (
        Field("name", "Name", hint="What it is for, so that you know it again.", most=100),
        *boxes,
        Field(
            "expires_on",
            "Good until",
            kind="date",
            pointer="/expires_at",
            required=False,
            hint="The end of that day, UTC. Left empty it does not expire.",
        ),
    )


def key_body(form: Form, scopes: Sequence[str]) -> dict[str, Any]:
    """The JSON of a new API key."""
    day = form.value("expires_on")
    return {
        "name": form.value("name"),
        "scopes": [scope for scope in scopes if form.value(_box(scope)) == "on"],
    } | ({"expires_at": f"{day}T23:59:59Z"} if day else {})


def _box(scope: str) -> str:
    return "scope_" + scope.replace(":", "_")
