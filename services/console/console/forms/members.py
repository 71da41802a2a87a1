"""The forms about members: add, edit, transfer ownership."""

from collections.abc import Mapping, Sequence
from typing import Any

from console.forms import Field, Form
from console.values import people

NAME = Field("name", "Name", autocomplete="off")
LABEL = Field(
    "name",
    "Name in this organization",
    autocomplete="off",
    hint="Only this organization sees it. To go back to the name the person chose for themselves, "
    "enter that one.",
)
GIVEN, FAMILY = Field("given_name", "Given name"), Field("family_name", "Family name")
ACCESS = Field(
    "portal_access",
    "Portal access",
    kind="radio",
    empty_error="Select whether the member has portal access.",
    options=(
        ("yes", "Yes: signs in to this console with email and password"),
        ("no", "No: can't sign in; has a PIN, for example for a desk phone"),
    ),
)
EMAIL = Field("email", "Email address", kind="email", max_length=320)
EXTENSION = Field(
    "extension",
    "Extension",
    required=False,
    max_length=32,
    hint="The number the PIN belongs to. Leave empty to use the next free number. The PIN is shown "
    "once, after you add the member.",
)
_MEMBER = frozenset(("member",))
REASON = Field(
    "reason",
    "Reason",
    kind="textarea",
    max_length=500,
    hint="Shown to both members and recorded in the audit log.",
)


def new_member(kind: str, reached: frozenset[str], *, admits: bool) -> Sequence[Field]:
    """The fields of a new member, in an organization of this kind; ``admits``: whether the member
    may become an admin."""
    return (NAME, ACCESS, EMAIL, _role(kind, reached if admits else _MEMBER), EXTENSION)


def edit_member(
    member: Mapping[str, Any],
    kind: str,
    reached: frozenset[str],
    *,
    is_own: bool,
    login: bool,
    admits: bool,
) -> Sequence[Field]:
    """The fields of an existing member; ``is_own``: the signed-in person; ``login``: whether email,
    role and portal access may be changed; ``admits``: those of admins and the owner too, and
    whether the member may become an admin."""
    names: tuple[Field, ...] = (GIVEN, FAMILY) if member["given_name"] else (NAME,)
    if member["verified"] and not is_own:
        names = (LABEL,)
    if not login:
        return names
    is_protected = not admits and people.rank(member) != "member"
    email = () if is_protected else (EMAIL,)
    if member["role"] == "owner":
        return (*names, *email)
    ranks = reached if admits or is_protected else _MEMBER
    return (*names, ACCESS, *email, _role(kind, ranks))


def current_values(member: Mapping[str, Any], kind: str) -> dict[str, str]:
    """A member's current values in these fields."""
    return {
        **{
            name: member[name] or "" for name in ("given_name", "family_name", "email", "extension")
        },
        "name": people.name(member),
        "portal_access": "yes" if member["portal_access"] else "no",
        "role": people.preset(member) if kind == "provider" else member["role"],
    }


def body(form: Form, kind: str) -> dict[str, Any]:
    """The JSON body: email and role only with portal access."""
    made = form.body()
    access = made.get("portal_access")
    if access is None:
        return made
    made["portal_access"] = access == "yes"
    if access == "no":
        return {
            name: value for name, value in made.items() if name not in ("email", "role", "preset")
        }
    made.pop("extension", None)
    if kind == "provider" and "preset" in made:
        made["role"] = "admin" if made["preset"] == "manager" else "member"
    return made


def ownership_transfer(organization: str) -> Sequence[Field]:
    """The fields of an ownership transfer."""
    return (
        Field("member_id", "Member", kind="hidden"),
        REASON,
        Field(
            "typed",
            "Organization name",
            hint=f"Enter {organization} to confirm. You can paste it.",
        ),
    )


def _role(kind: str, reached: frozenset[str]) -> Field:
    if kind == "provider":
        options = [
            option for option in people.PRESETS if "admin" in reached or option[0] != "manager"
        ]
        return Field(
            "role",
            "Permissions",
            kind="radio",
            pointer="/preset",
            options=options,
            empty_error="Select permissions.",
        )
    return Field(
        "role",
        "Role",
        kind="radio",
        options=[option for option in people.ROLES if option[0] in reached],
    )
