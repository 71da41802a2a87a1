"""A person changes their own address: their login in all of their organizations moves once the new
address is proved, and the old one can undo it."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import (
    attempts,
    audit_log,
    email_changes,
    identities,
    logouts,
    mails,
    member_events,
    undo_reports,
)
from membership.actions.email_changes import MemberExists
from membership.actions.mails import TooManyMails
from membership.models import Identity, MailedToken, Member
from membership.queries import Link, Membership
from membership.values import attempt_limits


class Person(NamedTuple):
    """A person and their memberships, locked."""

    identity: Identity
    memberships: list[Membership]


def lock_person(session: Session, identity_id: str, *, also: Member | None = None) -> Person:
    """Locks organizations, members and identity in the same order as changes to members do.
    ``also``: a membership that the person had before."""
    locked = {member.id: member for member, _ in queries.memberships(session, identity_id)}
    if also is not None:
        locked[also.id] = also
    for organization_id in sorted({member.organization_id for member in locked.values()}):
        queries.organization(session, organization_id, lock="use")
    for _, member in sorted(locked.items()):
        session.refresh(member, with_for_update=True)
    identity = session.get_one(Identity, identity_id, with_for_update=True, populate_existing=True)
    return Person(identity, queries.memberships(session, identity_id))


def request_change(session: Session, person: Person, email: str, now: datetime) -> None:
    """Email a link that proves the new address, and tell the old one. The present address cancels a
    change that is pending. Raises TooManyRequests, TooManyMails.

    Whether somebody else has the address, only its holder learns, by the link."""
    identity = person.identity
    before = identity.pending_email
    if email == identity.email:
        mails.supersede_change(session, identity_id=identity.id, member_id=None, now=now)
        identity.pending_email = None
    else:
        _check_frequency(session, identity, email, now)
        identity.pending_email = email
        mails.queue_change(
            session,
            identity=identity,
            member_id=None,
            email=email,
            details={},
            former={"by": identity.id},
            now=now,
        )
    if before != identity.pending_email:
        change = {"field": "pending_email", "before": before, "after": identity.pending_email}
        _record(session, "member.updated", _joined(session, identity), change, now)


def complete(session: Session, link: Link, now: datetime) -> None:
    """Move the person's login to the new address. Raises MemberExists where it is somebody
    else's."""
    _move(session, link, link.token.email, "email.changed", now)


def undo(session: Session, link: Link, now: datetime) -> None:
    """Move the person's login back, ending their sessions, or cancel a change that is pending; the
    owners of their organizations are notified. Of memberships that others have moved since, the
    person gets the undo links: they were sent to an address that was not theirs. Raises
    MemberExists."""
    identity = link.identity
    is_moved = identity.email != link.token.email
    mails.supersede_change(session, identity_id=identity.id, member_id=None, now=now)
    if is_moved:
        _withdraw_invitations(session, link, now)
        mails.replace_undo_links(
            session,
            identity_id=identity.id,
            email=link.token.email,
            since=link.token.created_at,
            now=now,
        )
        logouts.end_sessions(session, identity_id=identity.id, why="address_changed", now=now)
        _move(session, link, link.token.email, "email.change_undone", now)
    else:
        change = {"field": "pending_email", "before": identity.pending_email, "after": None}
        _record(session, "email.change_undone", _joined(session, identity), change, now)
    identity.pending_email = None
    for member, organization in _joined(session, identity):
        undo_reports.report(
            session, organization=organization, member=member, made_by=identity.id, now=now
        )


def _joined(session: Session, identity: Identity) -> list[Membership]:
    """Who has only invited the person learns nothing of their login."""
    memberships = queries.memberships(session, identity.id)
    return [membership for membership in memberships if membership.member.verified]


def _move(session: Session, link: Link, email: str, action: str, now: datetime) -> None:
    identity, before = link.identity, link.identity.email
    _take_over_invitations(session, identity, email, now)
    identity.email, identity.pending_email, identity.email_verified_at = email, None, now
    session.flush()
    _leave_invitations(session, identity, before or "", now)
    memberships = _joined(session, identity)
    for member, organization in memberships:
        member.email = email
        member.pending_email = None if member.pending_email == email else member.pending_email
        member.update_search()
        member_events.publish_members_changed(session, organization.id)
    change = {"field": "email", "before": before, "after": email}
    _record(session, action, memberships, change, now)


def _take_over_invitations(session: Session, identity: Identity, email: str, now: datetime) -> None:
    """The address may have been invited without anybody having joined with it: those invitations
    are for the person who proves it. Raises MemberExists."""
    other = queries.identity_by_email(session, email)
    if other is None or other.id == identity.id:
        return
    session.refresh(other, with_for_update=True)
    invited = queries.memberships(session, other.id)
    if other.email_verified_at is not None or any(
        queries.is_member(session, organization.id, identity.id) for _, organization in invited
    ):
        raise MemberExists()
    _hand_over(session, [member for member, _ in invited], other.id, identity.id)
    identities.erase_if_unused(session, which=[other.id], now=now)
    session.refresh(other)
    other.email = None
    session.flush()  # before somebody else gets it


def _withdraw_invitations(session: Session, link: Link, now: datetime) -> None:
    """Of the address that the person takes back, in organizations where they are already."""
    other = queries.identity_by_email(session, link.token.email)
    if other is not None:
        for membership in queries.memberships(session, link.identity.id):
            email_changes.withdraw_invitation(session, other.id, membership, now)


def _leave_invitations(session: Session, identity: Identity, before: str, now: datetime) -> None:
    """Invitations stay with the address that they were sent to, and are for who proves it next:
    otherwise a person who got hold of it for a moment would take them along."""
    memberships = queries.memberships(session, identity.id)
    left = [m for m, _ in memberships if not m.verified and m.email != identity.email]
    if left:
        holder = identities.find_or_create_identity(session, email=before, now=now)
        _hand_over(session, left, identity.id, holder.id)


def _hand_over(session: Session, invited: list[Member], giver_id: str, taker_id: str) -> None:
    """Make these invitations those of another person."""
    for member in invited:
        session.refresh(member, with_for_update=True)
        member.identity_id = taker_id
    links = update(MailedToken).where(
        MailedToken.identity_id == giver_id,
        MailedToken.member_id.in_([member.id for member in invited]),
    )
    session.execute(links.values(identity_id=taker_id))


def _check_frequency(session: Session, identity: Identity, email: str, now: datetime) -> None:
    attempts.check_use(session, limits=attempt_limits.email_changes(identity.id), now=now)
    limits = attempt_limits.own_changes_to(queries.failures_key(email))
    if seconds := attempts.take(session, limits=limits, now=now):
        raise TooManyMails(retry_after=seconds)


def _record(
    session: Session,
    action: str,
    memberships: list[Membership],
    change: dict[str, Any],
    now: datetime,
) -> None:
    for member, organization in memberships:
        audit_log.record(
            session,
            action,
            organization=organization,
            member=member,
            by=audit_log.member_actor(member, organization),
            now=now,
            changes=[change],
        )
