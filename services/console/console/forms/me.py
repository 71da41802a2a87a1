"""The forms about your own account: profile, one-time codes, password, API keys."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from console.forms import Field, Form, whole_number
from console.forms.links import password
from console.values.scopes import SCOPES

OTP = Field(
    "otp",
    "One-time code",
    autocomplete="one-time-code",
    max_length=64,
    hint="The six-digit code from your authenticator app.",
    empty_error="Enter a one-time code.",
)
AUTHENTICATOR_NAME = Field(
    "name",
    "Name",
    max_length=100,
    required=False,
    hint="Such as the device that it is on. It tells your authenticators apart.",
)
PASSWORD: Sequence[Field] = (
    Field(
        "password",
        "Current password",
        kind="password",
        autocomplete="current-password",
        max_length=1024,
        empty_error="Enter your current password.",
    ),
    Field(
        "otp",
        "One-time code",
        autocomplete="one-time-code",
        max_length=64,
        required=False,
        hint="Required if you use one-time codes.",
        empty_error="Enter a one-time code.",
    ),
    password("new_password", "New password"),
)
_FAMILY_NAME = Field("family_name", "Family name", autocomplete="family-name")
_EMAIL = Field(
    "email",
    "Email address",
    kind="email",
    autocomplete="email",
    max_length=320,
    hint="You sign in with it, in all your organizations. If you change it, we email a link to the "
    "new address. You keep the current one until you open that link.",
)
ROTATION: Sequence[Field] = (
    Field(
        "overlap_minutes",
        "Keep the current key working for",
        kind="select",
        options=(
            ("60", "1 hour"),
            ("1440", "1 day"),
            ("10080", "7 days"),
            ("0", "Don't keep it: it stops working immediately"),
        ),
    ),
)


def profile(identity: Mapping[str, Any]) -> Sequence[Field]:
    """The fields of one's own profile. A person may have a single name."""
    given_name = Field(
        "given_name",
        "Given name",
        autocomplete="given-name",
        hint="Your name is the same in all your organizations. Each of them can also give you a "
        "name that only its own members see.",
    )
    return given_name, replace(_FAMILY_NAME, required=bool(identity["family_name"])), _EMAIL


def profile_body(form: Form, identity: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of a changed profile. The current address is left out, because sending it cancels a
    change that is not confirmed yet."""
    body = form.body(empty=True)
    if body["email"] == identity["email"]:
        del body["email"]
    if not (body["family_name"] or identity["family_name"]):
        del body["family_name"]
    return body


def rotation_body(form: Form) -> dict[str, Any]:
    """The JSON of a rotation."""
    return {"overlap_minutes": whole_number(form.value("overlap_minutes") or "60")}


def key(scopes: Sequence[str]) -> Sequence[Field]:
    """The fields of a new API key that may have these scopes."""
    boxes = [
        Field(
            _box(scope), SCOPES[scope], kind="checkbox", pointer=f"/{_box(scope)}", required=False
        )
        for scope in scopes
    ]
    return (
        Field(
            "name",
            "Name",
            hint="What the key is for, such as the name of the program.",
            max_length=100,
        ),
        *boxes,
        Field(
            "expires_on",
            "Expires on",
            kind="date",
            pointer="/expires_at",
            required=False,
            hint="The key works until the end of that day (UTC). Leave empty for one year.",
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
