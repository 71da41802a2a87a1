"""Members: add, change, disable, remove."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from chassis import errors
from chassis.auth.actor import Actor
from chassis.runtime import ids
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import access, audit_log, invitations, mails, member_events, sessions
from membership.models import Member, Organization
from membership.values.lifetimes import INVITATION

MOST_MEMBERS, MOST_ADMINS = 10_000, 100
_AUDITED = (
    "name",
    "given_name",
    "family_name",
    "email",
    "role",
    "preset",
    "portal_access",
    "status",
    "extension",
)


class MemberLimit(errors.Conflict):
    code = "member_limit"
    detail = (
        "An organization can have at most 10,000 members, including disabled ones. Remove one "
        "first."
    )


class AdminLimit(errors.Conflict):
    code = "admin_limit"
    detail = "An organization can have at most 100 admins. Change the role of one of them first."


class NothingToVerify(errors.Conflict):
    code = "nothing_to_verify"
    detail = "This member has no address to verify. Enable them, or give them portal access, first."


class NoPasswordToReset(errors.Conflict):
    code = "no_password_to_reset"
    detail = (
        "Only an active member with a login and a verified address has a password to reset. Ask "
        "them to accept their invitation first."
    )


class OrganizationProvisioning(errors.Conflict):
    code = "organization_provisioning"
    detail = "The organization is still being set up. Try again in a moment."


class OrganizationClosing(errors.Conflict):
    code = "organization_closing"
    detail = "The organization is being deleted. Activate it first to change its members."


class OrganizationDeleted(errors.Gone):
    code = "organization_deleted"
    detail = "The organization is deleted and cannot be changed."


class OutOfReach(errors.Forbidden):
    code = "forbidden"
    detail = "Your role cannot manage this member or assign this role. Ask the owner."


def add_member(
    session: Session,
    *,
    organization_id: str,
    fields: dict[str, Any],
    pin_hash: str | None,
    reach: frozenset[str],
    by: Actor,
    now: datetime,
) -> Member:
    """Somebody new: with a login they are invited by mail, without one they have a PIN.

    Raises MemberLimit, AdminLimit, MemberExists, ExtensionTaken, OutOfReach."""
    organization = _editable(session, organization_id)
    _check_reach(reach, _rank(fields.get("role") or "member", fields.get("preset")))
    members, _ = queries.counts(session, organization_id)
    if members >= MOST_MEMBERS:
        raise MemberLimit()
    given, family = fields.get("given_name"), fields.get("family_name")
    member = Member(
        id=ids.new("mem"),
        organization_id=organization_id,
        role="member",
        status="active",
        verified=False,
        name=fields.get("name") or f"{given} {family}",
        given_name=given,
        family_name=family,
        created_at=now,
        extension=access.free_extension(session, organization_id, fields, pin_hash is not None),
    )
    _set_preset(organization, member, fields)
    _set_role(session, member, fields.get("role") or "member")
    member.refold()
    session.add(member)
    session.flush()
    if pin_hash is not None:
        access.set_pin(session, member, pin_hash)
    if fields["portal_access"]:
        access.give_address(session, organization, member, fields["email"], INVITATION, by, now)
    member_events.publish_members_changed(session, organization_id)
    audit_log.record(
        session,
        "member.added",
        organization=organization,
        member=member,
        by=by,
        now=now,
        changes=_changes(member, {}),
    )
    return member


def update_member(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    fields: dict[str, Any],
    pin_hash: str | None,
    reach: frozenset[str],
    unchanged: Callable[[Member], None],
    by: Actor,
    now: datetime,
) -> Member:
    """Change what is given. ``unchanged`` raises when the member is not as the caller believes.

    Raises OwnerMustTransfer, AdminLimit, MemberExists, OutOfReach, Invalid."""
    organization, member = reachable(session, organization_id, member_id, reach)
    unchanged(member)
    before = _audited(member)
    _check_reach(
        reach, _rank(fields.get("role") or member.role, fields.get("preset", member.preset))
    )
    _rename(member, fields)
    access.set_access(session, organization, member, fields, pin_hash, by, now)
    _set_preset(organization, member, fields)
    if "role" in fields:
        _set_role(session, member, fields["role"])
    if (member.role, member.preset) != (before["role"], before["preset"]):
        sessions.revoke_tokens(session, member_id=member.id, now=now)
    member.refold()
    if changes := _changes(member, before):
        member_events.publish_members_changed(session, organization_id)
        audit_log.record(
            session,
            "member.updated",
            organization=organization,
            member=member,
            by=by,
            now=now,
            changes=changes,
        )
    return member


def disable_member(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    reach: frozenset[str],
    by: Actor,
    now: datetime,
) -> Member:
    """They are out and stay out, their PIN too, until enabled again. Raises OwnerMustTransfer,
    OutOfReach."""
    organization, member = reachable(session, organization_id, member_id, reach)
    access.check_not_owner(member)
    if member.status != "disabled":
        before, member.status = _audited(member), "disabled"
        mails.supersede_links(session, member_id=member.id, now=now)
        sessions.end_sessions(session, member_id=member.id, why="member_disabled", now=now)
        member_events.publish_members_changed(session, organization_id)
        audit_log.record(
            session,
            "member.disabled",
            organization=organization,
            member=member,
            by=by,
            now=now,
            changes=_changes(member, before),
        )
    return member


def enable_member(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    reach: frozenset[str],
    by: Actor,
    now: datetime,
) -> Member:
    """They may come in again; nobody is logged in by that. Who has not joined yet is invited anew,
    unless they got enough mails. Raises OutOfReach."""
    organization, member = reachable(session, organization_id, member_id, reach)
    if member.status == "disabled":
        before = _audited(member)
        member.status = "active" if member.verified or not member.portal_access else "pending"
        member_events.publish_members_changed(session, organization_id)
        audit_log.record(
            session,
            "member.enabled",
            organization=organization,
            member=member,
            by=by,
            now=now,
            changes=_changes(member, before),
        )
        if member.status == "pending":
            with suppress(mails.TooManyMails):
                _invite(session, organization, member, by, now)
    return member


def remove_member(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    reach: frozenset[str],
    by: Actor,
    now: datetime,
) -> None:
    """They are no member any more; as a person they live on elsewhere. Raises OwnerMustTransfer,
    OutOfReach."""
    organization, member = reachable(session, organization_id, member_id, reach)
    access.check_not_owner(member)
    before, member.status = _audited(member), "removed"
    access.forget_links(session, member, [], now)
    sessions.end_sessions(session, member_id=member.id, why="member_removed", now=now)
    member_events.publish_members_changed(session, organization_id)
    audit_log.record(
        session,
        "member.removed",
        organization=organization,
        member=member,
        by=by,
        now=now,
        changes=_changes(member, before),
    )


def resend_verification(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    reach: frozenset[str],
    by: Actor,
    now: datetime,
) -> Member:
    """Mail a fresh link; the one before is dead at once. Raises NothingToVerify, TooManyMails,
    OutOfReach."""
    organization, member = reachable(session, organization_id, member_id, reach)
    if not member.portal_access or member.verified or member.status == "disabled":
        raise NothingToVerify()
    invitations.check_pause(member, now)
    _invite(session, organization, member, by, now)
    return member


def reset_password(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    reach: frozenset[str],
    by: Actor,
    now: datetime,
) -> Member:
    """Mail a link by which the member chooses a new password; until they do, nothing changes.

    Raises NoPasswordToReset, TooManyMails, OutOfReach."""
    organization, member = reachable(session, organization_id, member_id, reach)
    if not member.verified or member.email is None or member.status != "active":
        raise NoPasswordToReset()
    mails.queue_reset_of(session, email=member.email, now=now)
    audit_log.record(
        session, "password.reset_asked", organization=organization, member=member, by=by, now=now
    )
    return member


def _invite(
    session: Session, organization: Organization, member: Member, by: Actor, now: datetime
) -> None:
    invitations.check_often(session, member=member, by=by, now=now)
    invitations.invite(
        session, organization=organization, member=member, purpose=INVITATION, by=by, now=now
    )


def _audited(member: Member) -> dict[str, Any]:
    return {name: getattr(member, name) for name in _AUDITED}


def _changes(member: Member, before: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"field": name, "before": before.get(name), "after": now}
        for name, now in _audited(member).items()
        if before.get(name) != now
    ]


def check_editable(organization: Organization) -> None:
    """Raise unless members may be changed there: OrganizationProvisioning, OrganizationClosing,
    OrganizationDeleted."""
    refusals = {
        "provisioning": OrganizationProvisioning,
        "ended": OrganizationClosing,
        "erased": OrganizationDeleted,
    }
    if organization.state in refusals:
        raise refusals[organization.state]()


def _editable(session: Session, organization_id: str) -> Organization:
    organization = queries.organization(session, organization_id, lock="change")
    check_editable(organization)
    return organization


def reachable(
    session: Session, organization_id: str, member_id: str, reach: frozenset[str]
) -> tuple[Organization, Member]:
    """The organization and the member, locked to be changed. Raises NoSuchMember, OutOfReach, and
    what else forbids changes there."""
    queries.member(session, organization_id, member_id)
    organization = _editable(session, organization_id)
    member = queries.member(session, organization_id, member_id, lock="change")
    _check_reach(reach, _rank(member.role, member.preset))
    return organization, member


def _rank(role: str, preset: str | None) -> str:
    return "admin" if role == "member" and preset == "manager" else role


def _check_reach(reach: frozenset[str], rank: str) -> None:
    if rank not in reach:
        raise OutOfReach()


def _set_role(session: Session, member: Member, role: str) -> None:
    access.check_not_owner(member)
    if role == "admin" and member.role != "admin":
        _, admins = queries.counts(session, member.organization_id)
        if admins >= MOST_ADMINS:
            raise AdminLimit()
    member.role = role


def _set_preset(organization: Organization, member: Member, fields: dict[str, Any]) -> None:
    if fields.get("preset") is not None and organization.kind != "provider":
        raise errors.invalid(
            "/preset", "staff_only", "Only the provider's own staff have a preset."
        )
    if "preset" in fields:
        member.preset = fields["preset"]
    if fields.get("role", member.role) == "admin" and member.preset not in (None, "manager"):
        if "preset" in fields:
            raise errors.invalid(
                "/preset", "manager_only", "The provider's admins are managers. Make them a member."
            )
        member.preset = None


def _rename(member: Member, fields: dict[str, Any]) -> None:
    for name in ("given_name", "family_name"):
        if name in fields:
            setattr(member, name, fields[name])
    if "name" in fields:
        member.name = fields["name"]
    elif "given_name" in fields or "family_name" in fields:
        member.name = f"{member.given_name or ''} {member.family_name or ''}".strip()
