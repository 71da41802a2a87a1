"""People and where they belong."""

from typing import Any, NamedTuple

from chassis import errors
from chassis.runtime import ids
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from membership.models import Identity, MailedToken, Member, Organization
from membership.queries.invitations import LINK_COMES, LINK_HELD
from membership.queries.locking import locked
from membership.values import addresses

HERE = ("pending", "active", "disabled")


class NoSuchMember(errors.NotFound):
    code = "not_found"
    detail = "There is no such member. Check the list of members again."


class Place(NamedTuple):
    """A membership and its organization."""

    member: Member
    organization: Organization


def member(session: Session, organization_id: str, member_id: str, *, lock: str = "") -> Member:
    """The member, as long as they are one. Raises NoSuchMember."""
    if not ids.is_id("mem", member_id):
        raise NoSuchMember()
    query = select(Member).where(
        Member.id == member_id, Member.organization_id == organization_id, Member.status.in_(HERE)
    )
    found = session.scalars(locked(query, lock)).one_or_none()
    if found is None:
        raise NoSuchMember()
    return found


def owner(session: Session, organization_id: str) -> Member | None:
    """The one owner; None once they are erased."""
    return session.scalars(
        select(Member).where(
            Member.organization_id == organization_id,
            Member.role == "owner",
            Member.status.in_(HERE),
        )
    ).one_or_none()


def counts(session: Session, organization_id: str) -> tuple[int, int]:
    """How many members, and how many admins among them."""
    rows = session.execute(
        select(Member.role, func.count())
        .where(Member.organization_id == organization_id, Member.status.in_(HERE))
        .group_by(Member.role)
    ).all()
    by_role = {role: count for role, count in rows}
    return sum(by_role.values()), by_role.get("admin", 0)


def members(
    organization_id: str,
    *,
    q: str | None = None,
    role: str | None = None,
    status: str | None = None,
    portal_access: bool | None = None,
) -> Any:
    """The list of members, by name, each with the link they hold if they are invited, and whether
    one comes."""
    query = select(Member, MailedToken, LINK_COMES).outerjoin(MailedToken, LINK_HELD)
    query = query.where(Member.organization_id == organization_id, Member.status.in_(HERE))
    if q:
        query = query.where(Member.search.contains(q.casefold(), autoescape=True))
    if role:
        query = query.where(Member.role == role)
    if status:
        query = query.where(Member.status == status)
    if portal_access is not None:
        query = query.where(
            Member.identity_id.is_not(None) if portal_access else Member.identity_id.is_(None)
        )
    return query.order_by(Member.sort_name, Member.id)


def identity(session: Session, identity_id: str) -> Identity:
    """The person."""
    return session.get_one(Identity, identity_id)


def identity_by_email(session: Session, email: str) -> Identity | None:
    """Whose address that is."""
    return session.scalars(
        select(Identity).where(Identity.email == addresses.key(email))
    ).one_or_none()


def place(session: Session, member_id: str) -> Place:
    """The membership and its organization, whatever has become of them."""
    member = session.get_one(Member, member_id)
    return Place(member, session.get_one(Organization, member.organization_id))


def works_for(session: Session, identity_id: str, provider_id: str) -> bool:
    """Whether this person is one of the provider's staff."""
    staff = select(Member.id).where(
        Member.identity_id == identity_id,
        Member.organization_id == provider_id,
        Member.status.in_(HERE),
    )
    return session.scalar(staff) is not None


def places(session: Session, identity_id: str) -> list[Place]:
    """Where this person belongs, oldest membership first."""
    rows = session.execute(
        select(Member, Organization)
        .join(Organization, Organization.id == Member.organization_id)
        .where(
            Member.identity_id == identity_id,
            Member.status.in_(HERE),
            Organization.state != "erased",
        )
        .order_by(Member.id)
    )
    return [Place(*row) for row in rows]
