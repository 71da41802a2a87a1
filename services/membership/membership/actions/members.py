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
from membership.actions import (
    access,
    audit_log,
    invitations,
    key_makers,
    logouts,
    mails,
    member_events,
    member_roles,
    owner_emails,
    person_names,
    profiles,
)
from membership.models import Member, Organization
from membership.values.authority import BY_PROVIDER, Authority

MAX_MEMBERS = 10_000
_AUDITED = (
    "name",
    "given_name",
    "family_name",
    "label",
    "email",
    "pending_email",
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


class OrganizationProvisioning(errors.Conflict):
    code = "organization_provisioning"
    detail = "The organization is still being set up. Try again in a moment."


class OrganizationClosing(errors.Conflict):
    code = "organization_closing"
    detail = "The organization is being deleted. Activate it first to change its members."


class OrganizationDeleted(errors.Gone):
    code = "organization_deleted"
    detail = "The organization is deleted and cannot be changed."


def add_member(
    session: Session,
    *,
    organization_id: str,
    fields: dict[str, Any],
    pin_hash: str | None,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> Member:
    """Add a member. With a login they are invited by email; without one they have a PIN.

    Raises MemberLimit, AdminLimit, MemberExists, ExtensionTaken, CannotManageMember,
    CustomerManaged."""
    organization = _lock_editable(session, organization_id)
    role = fields.get("role") or "member"
    member_roles.check_manageable(authority, organization, role, fields.get("preset"), admits=True)
    members, _ = queries.counts(session, organization_id)
    if members >= MAX_MEMBERS:
        raise MemberLimit()
    extension = access.choose_extension(
        session, organization_id, fields, needed=pin_hash is not None
    )
    member = _new_member(organization_id, fields, extension, authority, now)
    member_roles.set_preset(organization, member, fields)
    member_roles.set_role(session, member, role)
    member.update_search()
    session.add(member)
    session.flush()
    if pin_hash is not None:
        access.set_pin(session, member, pin_hash)
    if fields["portal_access"]:
        access.set_address(session, organization, member, fields["email"], authority, by, now)
    member_events.publish_members_changed(session, organization_id)
    record(session, "member.added", organization, member, {}, by, now)
    if authority.of_provider and member.role == "admin":
        owner_emails.tell_owner_of_admin(session, organization=organization, admin=member, now=now)
    return member


def _new_member(
    organization_id: str,
    fields: dict[str, Any],
    extension: str | None,
    authority: Authority,
    now: datetime,
) -> Member:
    """A member who has no role, login or PIN yet. Raises Invalid."""
    given, family = fields.get("given_name"), fields.get("family_name")
    name = fields.get("name") or f"{given} {family}"
    person_names.check_name(name)
    return Member(
        id=ids.new("mem"),
        organization_id=organization_id,
        role="member",
        status="active",
        verified=False,
        name=name,
        given_name=given,
        family_name=family,
        created_at=now,
        extension=extension,
        admitted_by=authority.admitted_by,
    )


def update_member(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    fields: dict[str, Any],
    pin_hash: str | None,
    authority: Authority,
    session_id: str,
    unchanged: Callable[[Member], None],
    by: Actor,
    now: datetime,
) -> Member:
    """Change the given fields. ``unchanged`` raises if the member is not as the caller last saw it;
    ``session_id``: the caller's, for their own address.

    Raises OwnerMustTransfer, AdminLimit, MemberExists, CannotManageMember, CustomerManaged,
    StepUpRequired, TransferScheduled, Invalid."""
    organization, member = lock(session, organization_id, member_id)
    _check_update(authority, organization, member, fields, by)
    if {"role", "portal_access"} & fields.keys():
        member_roles.check_may_still_stop_transfers(session, authority, member)
    unchanged(member)
    if member_roles.weakens(member, fields):
        member_roles.note_weakened_admin(authority, organization, member, now)
    if profiles.is_own(member, by):
        profiles.change_as_member(
            session, identity_id=by.id, session_id=session_id, fields=fields, now=now
        )
        fields = {name: value for name, value in fields.items() if name not in profiles.FIELDS}
    before = audited(member)
    _set_fields(session, organization, member, fields, pin_hash, authority, by, now)
    if (member.role, member.preset) != (before["role"], before["preset"]):
        logouts.revoke_tokens(session, member_id=member.id, now=now)
    member.update_search()
    if audited(member) != before:
        key_makers.suspend_orphaned(session, organization_id=organization_id, now=now)
        member_events.publish_members_changed(session, organization_id)
        record(session, "member.updated", organization, member, before, by, now)
    return member


def _set_fields(
    session: Session,
    organization: Organization,
    member: Member,
    fields: dict[str, Any],
    pin_hash: str | None,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> None:
    role, admits = member.role, member_roles.admits_at_once(member, fields)
    person_names.name_member(member, fields)
    access.set_access(session, organization, member, fields, pin_hash, authority, by, now)
    member_roles.set_preset(organization, member, fields)
    if "role" in fields:
        member_roles.set_role(session, member, fields["role"])
    if admits and authority.of_provider:
        _admit_by_provider(session, organization, member, role, now)


def _admit_by_provider(
    session: Session, organization: Organization, member: Member, role: str, now: datetime
) -> None:
    """Note that the provider let the member in, and tell the owner of a new admin. ``role``: what
    it was before."""
    member.admitted_by = BY_PROVIDER
    if member.role == "admin" and role != "admin":
        owner_emails.tell_owner_of_admin(session, organization=organization, admin=member, now=now)


def _check_update(
    authority: Authority,
    organization: Organization,
    member: Member,
    fields: dict[str, Any],
    by: Actor,
) -> None:
    """Everybody may change their own profile, whatever their role."""
    if profiles.is_own(member, by) and fields.keys() <= profiles.FIELDS:
        return
    role, preset = fields.get("role") or member.role, fields.get("preset", member.preset)
    for which in ((member.role, member.preset), (role, preset)):
        member_roles.check_manageable(
            authority, organization, *which, admits=member_roles.admits(member, fields)
        )


def enable_member(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> Member:
    """Allow access again; ended sessions stay ended. A member who has not joined yet is invited
    again, unless too many emails were sent. Raises CannotManageMember, CustomerManaged."""
    organization, member = lock_member(session, organization_id, member_id, authority, admits=True)
    if member.status == "disabled":
        before = audited(member)
        member.status = "active" if member.verified or not member.portal_access else "pending"
        member_events.publish_members_changed(session, organization_id)
        record(session, "member.enabled", organization, member, before, by, now)
        if member.status == "pending":
            with suppress(mails.TooManyMails):
                invitations.invite_again(
                    session,
                    organization=organization,
                    member=member,
                    authority=authority,
                    by=by,
                    now=now,
                )
    return member


def record(
    session: Session,
    action: str,
    organization: Organization,
    member: Member,
    before: dict[str, Any],
    by: Actor,
    now: datetime,
) -> None:
    """Record what differs from ``before`` in the audit log."""
    audit_log.record(
        session,
        action,
        organization=organization,
        member=member,
        by=by,
        now=now,
        changes=_changes(member, before),
    )


def audited(member: Member) -> dict[str, Any]:
    """The fields whose changes the audit log has."""
    return {name: getattr(member, name) for name in _AUDITED}


def _changes(member: Member, before: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"field": name, "before": before.get(name), "after": now}
        for name, now in audited(member).items()
        if before.get(name) != now
    ]


def check_editable(organization: Organization) -> None:
    """Raise OrganizationProvisioning, OrganizationClosing or OrganizationDeleted if members cannot
    be changed there."""
    refusals = {
        "provisioning": OrganizationProvisioning,
        "ended": OrganizationClosing,
        "erased": OrganizationDeleted,
    }
    if organization.state in refusals:
        raise refusals[organization.state]()


def _lock_editable(session: Session, organization_id: str) -> Organization:
    organization = queries.organization(session, organization_id, lock="change")
    check_editable(organization)
    return organization


def lock_member(
    session: Session,
    organization_id: str,
    member_id: str,
    authority: Authority,
    *,
    admits: bool = False,
) -> tuple[Organization, Member]:
    """The organization and the member, locked. Raises NoSuchMember, TransferScheduled, and what
    ``check_manageable`` and ``check_editable`` do."""
    organization, member = lock(session, organization_id, member_id)
    member_roles.check_may_still_stop_transfers(session, authority, member)
    member_roles.check_manageable(
        authority, organization, member.role, member.preset, admits=admits
    )
    return organization, member


def lock(session: Session, organization_id: str, member_id: str) -> tuple[Organization, Member]:
    """The organization and the member, locked. Raises NoSuchMember and what ``check_editable``
    does."""
    queries.member(session, organization_id, member_id)
    organization = _lock_editable(session, organization_id)
    member = queries.member(session, organization_id, member_id, lock="change")
    return organization, member
