"""Members as pages show them: their roles, who may manage them, and which actions their status
allows."""

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


def name(member: Mapping[str, Any]) -> str:
    """The name by which the organization knows a member."""
    return str(member["label"] or member["name"])


def role(member: Mapping[str, Any], kind: str) -> str:
    """The label of a member's role; for staff of the provider, of their preset."""
    if kind == "customer" or member["role"] == "owner":
        return label(member["role"])
    return label(preset(member))


def preset(member: Mapping[str, Any]) -> str:
    """The preset of a staff member; admins are managers."""
    return "manager" if member["role"] == "admin" else member["preset"] or "viewer"


def rank(member: Mapping[str, Any]) -> str:
    """The rank of a member: a manager ranks as an admin."""
    return (
        "admin"
        if member["role"] == "member" and member["preset"] == "manager"
        else str(member["role"])
    )


def manageable_ranks(kind: str, own: str, *, at_home: bool) -> frozenset[str]:
    """The ranks that somebody with this role may manage, in their own organization (``at_home``) or
    at a customer. The services check again."""
    if own == "owner":
        return EVERYBODY
    if kind == "provider" and not at_home:
        return EVERYBODY if own == "manager" else EVERYBODY - {"owner"}
    return frozenset(("member",) if own in ("admin", "manager") else ())


def admits_admins(kind: str, own: str, organization: Mapping[str, Any]) -> bool:
    """Whether somebody with this role may make people admins there, or change how admins and the
    owner log in. The services check again."""
    if kind != "provider" or organization["kind"] == "provider":
        return True
    return own != "support" and organization["managed_by"] == "provider"


def transfers_ownership(kind: str, own: str, organization: Mapping[str, Any]) -> bool:
    """Whether somebody with this role may transfer the ownership there, at once or later, if their
    role may do so at all. The services check again."""
    return own == "owner" or admits_admins(kind, own, organization)


def allowed_operations(
    member: Mapping[str, Any],
    organization: Mapping[str, Any],
    reached: frozenset[str],
    *,
    admits: bool,
    transfers: bool,
    is_own: bool,
) -> frozenset[str]:
    """The operations that the status of member and organization, the ranks one may manage, whether
    one ``admits`` admins and ``transfers`` the ownership, and whether it is one's own membership
    allow."""
    if organization["status"] not in EDITABLE:
        return frozenset()
    operations = {"ownership.transfer"} if transfers and obstacle(member) == "" else set()
    # Those who may do this at all may do it to admins.
    if member["verified"] and not is_own and rank(member) in reached | {"admin"}:
        operations |= _where("member.end_sessions", member["status"] == "active")
        operations |= _where("member.reset_mfa", bool(member["mfa"]))
    if rank(member) not in reached:
        return frozenset(operations)
    has_login, status = member["portal_access"], member["status"]
    operations |= {"member.update"}
    operations |= _where(
        "member.resend", has_login and (status == "pending" or bool(member["pending_email"]))
    )
    logs_in = has_login and member["verified"] and status == "active"
    operations |= _where("member.reset_password", logs_in)
    operations |= _where("member.reset_pin", not has_login or bool(member["extension"]))
    operations |= _where(
        "member.login_as",
        logs_in and organization["kind"] == "customer" and organization["status"] == "active",
    )
    operations |= _where("member.confirm", not member["confirmed"])
    if member["role"] != "owner":
        operations |= {"member.remove"} | _where("member.disable", status != "disabled")
        may_enable = admits or rank(member) == "member"
        operations |= _where("member.enable", status == "disabled" and may_enable)
    return frozenset(operations)


def obstacle(member: Mapping[str, Any]) -> str:
    """Why a member cannot become the owner; empty if they can."""
    if member["role"] == "owner":
        return "owner"
    if not member["portal_access"]:
        return "no portal access"
    if member["status"] == "disabled":
        return "disabled"
    return "" if member["verified"] and member["status"] == "active" else "email not verified"


def _where(operation: str, holds: bool) -> set[str]:
    return {operation} if holds else set()
