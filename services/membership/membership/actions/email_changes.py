"""Somebody else changes a member's address: it takes effect once the new address is proved, and the
old one can undo it."""

from collections.abc import Mapping
from datetime import datetime

from chassis import errors
from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import (
    audit_log,
    identities,
    invitations,
    key_makers,
    logouts,
    mails,
    member_events,
    person_names,
    undo_reports,
)
from membership.models import Identity, Member, Organization
from membership.queries import Link, Membership
from membership.values import roles
from membership.values.authority import BY_PROVIDER, Authority


class MemberExists(errors.Conflict):
    code = "member_exists"
    detail = (
        "A member with this email address already exists. Look for them in the list of members."
    )


class LinkMemberDisabled(errors.Conflict):
    code = "member_disabled"
    detail = (
        "Your access is disabled. Your link stays valid: ask the owner or an admin to enable your "
        "access first."
    )


class RoleRaised(errors.Conflict):
    code = "role_raised"
    detail = (
        "This member can do more now than before the address was changed. Ask the owner to change "
        "it back."
    )


def request_change(
    session: Session,
    organization: Organization,
    member: Member,
    email: str,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> None:
    """Move this membership to who proves the new address while ``by`` could still request it; until
    then the old one works. The present address cancels a change that is pending. Raises
    MemberExists, TooManyMails."""
    identity = queries.identity(session, member.identity_id or "")
    if email == member.email:
        mails.supersede_change(session, identity_id=identity.id, member_id=member.id, now=now)
        member.pending_email = None
        return
    other = queries.identity_by_email(session, email)
    if other is not None and queries.is_member(session, organization.id, other.id):
        raise MemberExists()
    invitations.count_link(
        session,
        organization=organization,
        member=member,
        email=email,
        authority=authority,
        now=now,
    )
    member.pending_email = email
    role = roles.in_token(organization.kind, member.role, member.preset)
    mails.queue_change(
        session,
        identity=identity,
        member_id=member.id,
        email=email,
        details={"role": role, "admitted_by": authority.admitted_by, "by": by.id},
        former={"role": role, "admitted_by": member.admitted_by, "by": by.id},
        now=now,
    )


def complete(
    session: Session,
    link: Link,
    membership: Membership,
    password_hash: str | None,
    chosen: Mapping[str, str],
    now: datetime,
) -> None:
    """Move the membership to the person who has the new address, created if there is nobody. Raises
    MemberExists, RoleRaised, LinkSpent."""
    member, organization = membership
    change = queries.change_of(session, link.token)
    by_provider = change.admitted_by == BY_PROVIDER and organization.managed_by == "customer"
    if by_provider and (member.role != "member" or member.preset == "manager"):
        raise queries.LinkSpent()
    _check_not_raised(membership, change.role)
    person = identities.find_or_create_identity(session, email=link.token.email, now=now)
    session.refresh(person, with_for_update=True)
    if queries.is_member(session, organization.id, person.id):
        raise MemberExists()
    identities.accept(
        session,
        identity=person,
        member=member,
        password_hash=password_hash,
        chosen=chosen,
        now=now,
    )
    _move(session, membership, person, now)
    member.admitted_by = change.admitted_by
    _record(session, "email.changed", membership, link.identity.email, now)


def undo(session: Session, link: Link, membership: Membership, now: datetime) -> None:
    """Give the membership back to the person and address that had it before, or cancel a change
    that is pending, unless nothing is to be undone any more; who made the change and the owner are
    notified. Not for a disabled member, nor where the member's role has been raised since."""
    member, organization = membership
    change, before = queries.change_of(session, link.token), member.email
    if member.identity_id == link.identity.id:
        if member.pending_email is None:
            return
        before, member.pending_email = member.pending_email, None
        if change.admitted_by == BY_PROVIDER:  # a confirmation since was meant for the new address
            member.admitted_by = BY_PROVIDER
        mails.supersede_change(session, identity_id=link.identity.id, member_id=member.id, now=now)
    else:
        _restore(session, link, membership, change, now)
    _record(session, "email.change_undone", membership, before, now)
    undo_reports.report(
        session, organization=organization, member=member, made_by=change.made_by, now=now
    )


def _restore(
    session: Session, link: Link, membership: Membership, change: queries.Change, now: datetime
) -> None:
    member = membership.member
    if member.status == "disabled":
        raise LinkMemberDisabled()
    withdraw_invitation(session, link.identity.id, membership, now)
    _check_not_raised(membership, change.role)
    mails.supersede_undo_links(session, member_id=member.id, since=link.token.created_at, now=now)
    _move(session, membership, link.identity, now)
    member.status, member.admitted_by = "active", change.admitted_by


def withdraw_invitation(
    session: Session, identity_id: str, membership: Membership, now: datetime
) -> None:
    """Remove the other member who was invited to the same organization with the address that the
    member takes back: inviting it must not keep its holder from undoing the change. Raises
    MemberExists where that invitation was accepted, or is the owner's."""
    member, organization = membership
    others = queries.members_by_identity(session, organization.id, {identity_id}, lock="change")
    for other in others.values():
        if other.verified or other.role == "owner":
            raise MemberExists()
        mails.supersede_links(session, member_id=other.id, now=now)
        before, other.status = other.status, "removed"
        session.flush()
        audit_log.record(
            session,
            "member.removed",
            organization=organization,
            member=other,
            now=now,
            by=audit_log.member_actor(member, organization),
            changes=[{"field": "status", "before": before, "after": "removed"}],
        )


def _move(session: Session, membership: Membership, person: Identity, now: datetime) -> None:
    member, organization = membership
    former = member.identity_id
    logouts.end_sessions(session, member_id=member.id, why="address_changed", now=now)
    mails.supersede_links(session, member_id=member.id, now=now)
    member.identity_id, member.email = person.id, person.email
    member.pending_email, member.verified = None, True
    person_names.show_own(member, person)
    identities.erase_if_unused(session, which=[former], now=now)
    key_makers.suspend_orphaned(session, organization_id=organization.id, now=now)
    member_events.publish_members_changed(session, organization.id)


def _check_not_raised(membership: Membership, role_before: str) -> None:
    (member, organization) = membership
    role = roles.in_token(organization.kind, member.role, member.preset)
    before = roles.scopes(organization.kind, role_before)
    if not set(roles.scopes(organization.kind, role)) <= set(before):
        raise RoleRaised()


def _record(
    session: Session, action: str, membership: Membership, before: str | None, now: datetime
) -> None:
    member, organization = membership
    audit_log.record(
        session,
        action,
        organization=organization,
        member=member,
        now=now,
        by=audit_log.member_actor(member, organization),
        changes=[{"field": "email", "before": before, "after": member.email}],
    )
