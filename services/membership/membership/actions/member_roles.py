"""Roles of members: who may manage whom, and how roles and presets change."""

from datetime import datetime, timedelta
from typing import Any

from chassis import errors
from chassis.runtime import clock
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import access
from membership.models import Member, Organization
from membership.values.authority import Authority

MAX_ADMINS = 100
# How long a provider schedules no transfer after it has taken the right to stop it from an admin.
ADMINS_KEPT_FOR = timedelta(days=30)


class AdminLimit(errors.Conflict):
    code = "admin_limit"
    detail = "An organization can have at most 100 admins. Change one of them to member first."


class CustomerManaged(errors.Forbidden):
    code = "customer_managed"
    detail = (
        "This customer manages itself. Ask its owner to add or change its admins, or to transfer "
        "the ownership."
    )


class TransferScheduled(errors.Conflict):
    code = "transfer_scheduled"
    detail = (
        "A transfer of the ownership is scheduled, and this customer's admins may stop it. Change "
        "its admins once the transfer has taken effect or was stopped."
    )


class AdminsChanged(errors.Conflict):
    code = "admins_changed"
    detail = (
        "Your team disabled, removed or changed an admin of this customer within the last 30 days, "
        "who could have stopped the transfer. Ask the customer's owner to transfer the ownership, "
        "or try again once the 30 days are over."
    )


class CannotManageMember(errors.Forbidden):
    code = "forbidden"
    detail = "Your role cannot manage this member or assign this role. Ask the owner."


def check_manageable(
    authority: Authority,
    organization: Organization,
    role: str,
    preset: str | None,
    *,
    admits: bool = False,
) -> None:
    """Raise CustomerManaged or CannotManageMember unless the caller may manage members of this role
    there. ``admits``: and may give somebody the power of this role."""
    rank = "admin" if role == "member" and preset == "manager" else role
    if admits and rank != "member":
        if authority.of_provider:
            check_provider_manages(organization)
        if not authority.admits_admins:
            raise CannotManageMember()
    if rank not in authority.ranks:
        raise CannotManageMember()


def check_may_still_stop_transfers(session: Session, authority: Authority, member: Member) -> None:
    """Raise TransferScheduled while the provider has scheduled a transfer of the ownership: it must
    not take the right to stop it from the admins."""
    if not authority.of_provider or member.role != "admin":
        return
    if queries.scheduled_transfer(session, member.organization_id) is not None:
        raise TransferScheduled()


def note_weakened_admin(
    authority: Authority, organization: Organization, member: Member, now: datetime
) -> None:
    """Note, before it happens, that an admin loses the right to stop a transfer of the ownership,
    if it is their provider that takes it."""
    if authority.of_provider and member.role == "admin" and member.status != "disabled":
        organization.provider_weakened_admins_at = now


def check_admins_kept(organization: Organization, now: datetime) -> None:
    """Raise AdminsChanged where somebody who should be able to stop a transfer cannot."""
    weakened_at = organization.provider_weakened_admins_at
    if weakened_at is not None and weakened_at + ADMINS_KEPT_FOR > now:
        raise AdminsChanged(possible_at=clock.stamp(weakened_at + ADMINS_KEPT_FOR))


def check_provider_manages(organization: Organization) -> None:
    """Raise CustomerManaged where the customer manages itself: there, the provider may not make
    anyone an admin."""
    if organization.managed_by == "customer":
        raise CustomerManaged()


def admits(member: Member, fields: dict[str, Any]) -> bool:
    """Whether these changes give somebody the rights of the member's role: a raised role, portal
    access, or another address."""
    is_raised = fields.get("role") == "admin" and member.role != "admin"
    gets_access = fields.get("portal_access") is True and not member.portal_access
    return is_raised or gets_access or fields.get("email", member.email) != member.email


def weakens(member: Member, fields: dict[str, Any]) -> bool:
    """Whether these changes take the rights of the member's role from the person."""
    is_lowered = fields.get("role", member.role) != member.role
    loses_access = fields.get("portal_access") is False and member.portal_access
    return is_lowered or loses_access or fields.get("email", member.email) != member.email


def admits_at_once(member: Member, fields: dict[str, Any]) -> bool:
    """The same of changes that take effect now: a new address of somebody who has joined first has
    to be proved."""
    if member.verified:
        fields = {name: value for name, value in fields.items() if name != "email"}
    return admits(member, fields)


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
