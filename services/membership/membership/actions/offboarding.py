"""Offboarding: members are disabled, removed, or leave."""

from datetime import datetime

from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import (
    access,
    audit_log,
    erasure,
    key_makers,
    logouts,
    mails,
    member_events,
    member_roles,
    members,
    support_grants,
)
from membership.models import Member, Organization
from membership.queries import LeftBehind
from membership.values.authority import Authority
from membership.values.support import BY_PROVIDER


def disable_member(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> tuple[Member, LeftBehind]:
    """End the member's access, by login and by PIN, until they are enabled again; returns also what
    they leave behind. Raises OwnerMustTransfer, CannotManageMember."""
    organization, member = members.lock_member(session, organization_id, member_id, authority)
    access.check_not_owner(member)
    left = queries.left_behind(session, member, now)
    if member.status != "disabled":
        member_roles.note_weakened_admin(authority, organization, member, now)
        before, member.status = members.audited(member), "disabled"
        mails.supersede_links(session, member_id=member.id, now=now)
        _end_access(session, organization, member, "member_disabled", now)
        members.record(session, "member.disabled", organization, member, before, by, now)
    return member, left


def remove_member(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> None:
    """Remove the member. Their other memberships stay; a person without any is erased. Raises
    OwnerMustTransfer, CannotManageMember."""
    organization, member = members.lock_member(session, organization_id, member_id, authority)
    member_roles.note_weakened_admin(authority, organization, member, now)
    _remove(session, "member.removed", organization, member, by, now)


def leave_organization(
    session: Session, *, organization_id: str, identity_id: str, now: datetime
) -> None:
    """End one's own membership, with the effects of a removal. Raises NoSuchOrganization,
    OwnerMustTransfer."""
    membership = queries.membership_in(session, identity_id, organization_id)
    if membership is None:
        raise queries.NoSuchOrganization()
    organization, member = members.lock(session, organization_id, membership.member.id)
    if member.identity_id != identity_id:  # the login was taken meanwhile
        raise queries.NoSuchOrganization()
    by = audit_log.member_actor(member, organization)
    _remove(session, "member.left", organization, member, by, now)


def _remove(
    session: Session,
    action: str,
    organization: Organization,
    member: Member,
    by: Actor,
    now: datetime,
) -> None:
    access.check_not_owner(member)
    before, member.status = members.audited(member), "removed"
    access.invalidate_links(session, member, [], now)
    _end_access(session, organization, member, "member_removed", now)
    members.record(session, action, organization, member, before, by, now)
    erasure.erase_removed_member(session, member=member, now=now)


def _end_access(
    session: Session, organization: Organization, member: Member, why: str, now: datetime
) -> None:
    """End what the member has begun: support grants, sessions and API keys."""
    if member.identity_id is not None:  # grants before the support sessions under them
        support_grants.end_grants(
            session,
            provider_id=organization.id,
            requested_by=member.identity_id,
            why=BY_PROVIDER,
            now=now,
        )
    logouts.end_sessions(session, member_id=member.id, why=why, now=now)
    key_makers.suspend_orphaned(session, organization_id=organization.id, now=now)
    member_events.publish_members_changed(session, organization.id)
