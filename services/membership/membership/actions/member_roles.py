"""Roles of members: who may manage whom, and how roles and presets change."""

from typing import Any

from chassis import errors
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import access
from membership.models import Member, Organization

MAX_ADMINS = 100


class AdminLimit(errors.Conflict):
    code = "admin_limit"
    detail = "An organization can have at most 100 admins. Change one of them to member first."


class CannotManageMember(errors.Forbidden):
    code = "forbidden"
    detail = "Your role cannot manage this member or assign this role. Ask the owner."


def check_manageable(manageable: frozenset[str], role: str, preset: str | None) -> None:
    """Raise CannotManageMember unless the caller may manage members of this role."""
    rank = "admin" if role == "member" and preset == "manager" else role
    if rank not in manageable:
        raise CannotManageMember()


def set_role(session: Session, member: Member, role: str) -> None:
    """Raises OwnerMustTransfer, AdminLimit."""
    access.check_not_owner(member)
    if role == "admin" and member.role != "admin":
        check_admin_limit(session, member.organization_id)
    member.role = role


def check_admin_limit(session: Session, organization_id: str, *, leaving: int = 0) -> None:
    """Raise AdminLimit if there is no room for another admin; ``leaving``: admins who are about to
    get another role."""
    _, admins = queries.counts(session, organization_id)
    if admins - leaving >= MAX_ADMINS:
        raise AdminLimit()


def set_preset(organization: Organization, member: Member, fields: dict[str, Any]) -> None:
    """Set the preset of one of the provider's staff, if it is among the fields. Raises Invalid."""
    if fields.get("preset") is not None and organization.kind != "provider":
        raise errors.invalid("/preset", "staff_only", "Only the provider's own staff have presets.")
    if "preset" in fields:
        member.preset = fields["preset"]
    if fields.get("role", member.role) == "admin" and member.preset not in (None, "manager"):
        if "preset" in fields:
            raise errors.invalid(
                "/preset",
                "manager_only",
                "Admins of the provider have the manager preset. Change them to member first.",
            )
        member.preset = None
