"""Members as pages show them: roles in words, whom one reaches, what the state of a member lets be
done."""

from collections.abc import Mapping
from typing import Any

from console.values.labels import label

ROLES = (
    ("admin", "Admin: sees payments and invoices, manages members"),
    ("member", "Member: can sign in only"),
)
PRESETS = (
    ("viewer", "Viewer: sees all customers, can't change anything"),
    ("support", "Support: edits customers and their members, uses Remote Support"),
    ("billing", "Billing: manages payments, charges and invoices"),
    ("manager", "Manager: everything except managing other managers"),
)
EVERYBODY = frozenset(("owner", "admin", "member"))
EDITABLE = ("active", "suspended")


def role(member: Mapping[str, Any], kind: str) -> str:
    """What a member is, in an organization of this kind: for the provider's staff what they may
    do."""
    if kind == "customer" or member["role"] == "owner":
        return label(member["role"])
    return label(preset(member))


def preset(member: Mapping[str, Any]) -> str:
    """What one of the provider's staff may do; its admins are managers."""
    return "manager" if member["role"] == "admin" else member["preset"] or "viewer"


def rank(member: Mapping[str, Any]) -> str:
    """How high somebody stands: a manager like an admin."""
    return (
        "admin"
        if member["role"] == "member" and member["preset"] == "manager"
        else str(member["role"])
    )


def reach(kind: str, own: str, *, at_home: bool) -> frozenset[str]:
    """The ranks that somebody of this role, in an organization of this kind, may make and change,
    at home or at a customer's. The services decide again."""
    if own == "owner":
        return EVERYBODY
    if kind == "provider" and not at_home:
        return EVERYBODY if own == "manager" else EVERYBODY - {"owner"}
    return frozenset(("member",) if own in ("admin", "manager") else ())


def possible(
    member: Mapping[str, Any], organization: Mapping[str, Any], reached: frozenset[str]
) -> frozenset[str]:
    """The operations that the states of member and organization, and one's reach, leave."""
    if organization["status"] not in EDITABLE:
        return frozenset()
    found = {"ownership.transfer"} if obstacle(member) == "" else set()
    if rank(member) not in reached:
        return frozenset(found)
    has_login, status = member["portal_access"], member["status"]
    found |= {"member.update"}
    found |= _where("member.resend", has_login and status == "pending")
    logs_in = has_login and member["verified"] and status == "active"
    found |= _where("member.reset_password", logs_in)
    found |= _where("member.reset_pin", not has_login or bool(member["extension"]))
    found |= _where(
        "member.login_as",
        logs_in and organization["kind"] == "customer" and organization["status"] == "active",
    )
    if member["role"] != "owner":
        found |= {"member.remove", "member.enable" if status == "disabled" else "member.disable"}
    return frozenset(found)


def obstacle(member: Mapping[str, Any]) -> str:
    """Why a member can't be made the owner; nothing where they can."""
    if member["role"] == "owner":
        return "owner"
    if not member["portal_access"]:
        return "no portal access"
    if member["status"] == "disabled":
        return "disabled"
    return "" if member["verified"] and member["status"] == "active" else "email not verified"


def _where(operation: str, holds: bool) -> set[str]:
    return {operation} if holds else set()
