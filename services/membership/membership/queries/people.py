"""Members, identities and memberships."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from chassis import audit, email_addresses, errors
from chassis.runtime import ids
from sqlalchemy import and_, exists, func, select
from sqlalchemy.orm import Session, aliased

from membership.models import Authenticator, Identity, MailedToken, Member, Organization
from membership.queries.invitations import LINK_HELD, LINK_QUEUED
from membership.queries.locking import locked

CURRENT_STATUSES = ("pending", "active", "disabled")
# To select with members: whether they sign in with one-time codes. Of people who have not joined,
# the organization learns nothing.
HAS_CODES = and_(
    Member.verified,
    exists().where(
        Authenticator.identity_id == Member.identity_id, Authenticator.confirmed_at.is_not(None)
    ),
)


class NoSuchMember(errors.NotFound):
    code = "not_found"
    detail = "There is no such member. Check the list of members again."


class Membership(NamedTuple):
    """A member and the organization that they are in."""

    member: Member
    organization: Organization


def member(session: Session, organization_id: str, member_id: str, *, lock: str = "") -> Member:
    """Raises NoSuchMember, for a removed member too."""
    if not ids.is_id("mem", member_id):
        raise NoSuchMember()
    query = select(Member).where(
        Member.id == member_id,
        Member.organization_id == organization_id,
        Member.status.in_(CURRENT_STATUSES),
    )
    member = session.scalars(locked(query, lock)).one_or_none()
    if member is None:
        raise NoSuchMember()
    return member


def owner(session: Session, organization_id: str) -> Member | None:
    """The owner; None once they are erased."""
    return session.scalars(
        select(Member).where(
            Member.organization_id == organization_id,
            Member.role == "owner",
            Member.status.in_(CURRENT_STATUSES),
        )
    ).one_or_none()


def counts(session: Session, organization_id: str) -> tuple[int, int]:
    """The number of members, and of the admins among them."""
    rows = session.execute(
        select(Member.role, func.count())
        .where(Member.organization_id == organization_id, Member.status.in_(CURRENT_STATUSES))
        .group_by(Member.role)
    ).all()
    by_role = {role: count for role, count in rows}
    return sum(by_role.values()), by_role.get("admin", 0)


def members(
    organization_id: str,
    *,
    names_only: bool = False,
    q: str | None = None,
    role: str | None = None,
    status: str | None = None,
    portal_access: bool | None = None,
) -> Any:
    """The list of members by name, each with their current link if they are pending, whether
    another is queued, whether they have one-time codes, and the person's own new address until it
    is proved. ``names_only``: ``q`` does not find by address or extension."""
    query = select(Member, MailedToken, LINK_QUEUED, HAS_CODES, Identity.pending_email)
    query = query.select_from(Member).outerjoin(MailedToken, LINK_HELD)
    query = query.outerjoin(Identity, and_(Identity.id == Member.identity_id, Member.verified))
    query = query.where(
        Member.organization_id == organization_id, Member.status.in_(CURRENT_STATUSES)
    )
    if q:
        searched = Member.sort_name if names_only else Member.search
        query = query.where(searched.contains(q.casefold(), autoescape=True))
    if role:
        query = query.where(Member.role == role)
    if status:
        query = query.where(Member.status == status)
    if portal_access is not None:
        has_login = Member.identity_id.is_not(None)
        query = query.where(has_login if portal_access else ~has_login)
    return query.order_by(Member.sort_name, Member.id)


def shows_mfa(session: Session, member: Member) -> bool:
    """Whether the organization is told that the member signs in with one-time codes."""
    return bool(session.scalar(select(HAS_CODES).where(Member.id == member.id)))


def identity(session: Session, identity_id: str) -> Identity:
    return session.get_one(Identity, identity_id)


def identity_by_email(session: Session, email: str) -> Identity | None:
    """The identity with this address."""
    return session.scalars(
        select(Identity).where(Identity.email == email_addresses.key(email))
    ).one_or_none()


def pending_email(session: Session, member: Member) -> str | None:
    """The address that the member will have once it is proved: in this organization only, or the
    person's own everywhere. Of people who have not joined, the organization learns nothing."""
    if not member.verified:
        return None
    own = select(Identity.pending_email).where(Identity.id == member.identity_id)
    return member.pending_email or session.scalar(own)


def is_member(session: Session, organization_id: str, identity_id: str) -> bool:
    """Whether this person is a member there."""
    is_current = exists().where(
        Member.identity_id == identity_id,
        Member.organization_id == organization_id,
        Member.status.in_(CURRENT_STATUSES),
    )
    return session.scalar(select(is_current)) is True


def membership(session: Session, member_id: str) -> Membership:
    """The membership, whatever its status."""
    member = session.get_one(Member, member_id)
    return Membership(member, session.get_one(Organization, member.organization_id))


def is_staff_of(session: Session, identity_id: str, provider_id: str) -> bool:
    """Whether the person is one of the provider's staff."""
    staff = select(Member.id).where(
        Member.identity_id == identity_id,
        Member.organization_id == provider_id,
        Member.status.in_(CURRENT_STATUSES),
    )
    return session.scalar(staff) is not None


def memberships(session: Session, identity_id: str) -> list[Membership]:
    """The person's memberships, oldest first."""
    rows = session.execute(
        select(Member, Organization)
        .join(Organization, Organization.id == Member.organization_id)
        .where(
            Member.identity_id == identity_id,
            Member.status.in_(CURRENT_STATUSES),
            Organization.state != "erased",
        )
        .order_by(Member.id)
    )
    return [Membership(*row) for row in rows]


def membership_in(session: Session, identity_id: str, organization_id: str) -> Membership | None:
    """The person's membership in this organization."""
    for candidate in memberships(session, identity_id):
        if candidate.organization.id == organization_id:
            return candidate
    return None


def removed_without_membership(session: Session, limit: int) -> Sequence[Member]:
    """Removed members who are in no other organization and have not been erased, locked."""
    elsewhere = aliased(Member)
    has_other = exists().where(
        elsewhere.identity_id == Member.identity_id, elsewhere.status.in_(CURRENT_STATUSES)
    )
    query = select(Member).where(Member.status == "removed", ~has_other).order_by(Member.id)
    return session.scalars(query.limit(limit).with_for_update(skip_locked=True)).all()


def former_logins(session: Session, member_id: str) -> Sequence[str]:
    """The erased identities that did something to this member: also those that were behind it
    before its address was changed or its login removed."""
    actors = [id_ for id_ in audit.actors_on(session, member_id) if ids.is_id("idn", id_)]
    erased = select(Identity.id).where(Identity.id.in_(actors), Identity.status == "erased")
    return session.scalars(erased).all()
