"""What can be known."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from chassis import errors, ids
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from membership.models import (
    Counter,
    Identity,
    LoginFailures,
    LoginSession,
    MailedToken,
    Member,
    Organization,
    ProviderSettings,
    Revocation,
)
from membership.values import addresses, tokens, waits

HERE = ("pending", "active", "disabled")
FEED_KEPT = timedelta(minutes=65)  # longer than any token lives


class NoSuchOrganization(errors.NotFound):
    """There is no such organization."""

    code = "not_found"


class NoSuchMember(errors.NotFound):
    """There is no such member. Look at the list of members again."""

    code = "not_found"


class NoSuchLink(errors.NotFound):
    """This link leads nowhere. Open the link in the mail again, or ask for a new mail."""

    code = "not_found"


class LinkSpent(errors.Gone):
    """This link was used, replaced by a newer one, or is too old. Ask for a new mail."""

    code = "link_spent"


class Login(NamedTuple):
    """What a login is checked against; the same look-ups whether or not the address exists."""

    identity_id: str | None
    password_hash: str | None
    wait: int


class Place(NamedTuple):
    """A membership and its organization."""

    member: Member
    organization: Organization


class Link(NamedTuple):
    """A mailed link that can still be used, and whom it is about."""

    token: MailedToken
    identity: Identity
    member: Member | None
    organization: Organization | None


def provider_of(session: Session, organization_id: str) -> str | None:
    """The provider that runs this organization; a provider runs itself. None: there is no such organization."""
    return session.scalar(select(Organization.provider_id).where(Organization.id == organization_id))


def organization(session: Session, organization_id: str, *, lock: str = "") -> Organization:
    """The organization, locked against others for ``change``, against changes for ``use``.

    Raises NoSuchOrganization."""
    query = select(Organization).where(Organization.id == organization_id)
    found = session.scalars(_locked(query, lock)).one_or_none()
    if found is None:
        raise NoSuchOrganization()
    return found


def member(session: Session, organization_id: str, member_id: str, *, lock: str = "") -> Member:
    """The member, as long as they are one. Raises NoSuchMember."""
    if not ids.is_id("mem", member_id):
        raise NoSuchMember()
    query = select(Member).where(
        Member.id == member_id, Member.organization_id == organization_id, Member.status.in_(HERE)
    )
    found = session.scalars(_locked(query, lock)).one_or_none()
    if found is None:
        raise NoSuchMember()
    return found


def owner(session: Session, organization_id: str) -> Member | None:
    """The one owner; None once they are erased."""
    return session.scalars(
        select(Member).where(
            Member.organization_id == organization_id, Member.role == "owner", Member.status.in_(HERE)
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
    organization_id: str, *, q: str | None = None, role: str | None = None, status: str | None = None,
    portal_access: bool | None = None,
) -> Any:
    """The list of members, by name."""
    query = select(Member).where(Member.organization_id == organization_id, Member.status.in_(HERE))
    if q:
        query = query.where(Member.search.contains(q.casefold(), autoescape=True))
    if role:
        query = query.where(Member.role == role)
    if status:
        query = query.where(Member.status == status)
    if portal_access is not None:
        query = query.where(Member.identity_id.is_not(None) if portal_access else Member.identity_id.is_(None))
    return query.order_by(Member.sort_name, Member.id)


def identity(session: Session, identity_id: str) -> Identity:
    """The person."""
    return session.get_one(Identity, identity_id)


def identity_by_email(session: Session, email: str) -> Identity | None:
    """Whose address that is."""
    return session.scalars(select(Identity).where(Identity.email == addresses.key(email))).one_or_none()


def login(session: Session, email: str, now: datetime) -> Login:
    """What is needed to check a password for this address."""
    address = addresses.key(email)
    failures = session.get(LoginFailures, tokens.digest(address))
    found = session.scalars(select(Identity).where(Identity.email == address)).one_or_none()
    wait = waits.left(failures.count, failures.last_at, now) if failures else 0
    return Login(found.id if found else None, found.password_hash if found else None, wait)


def places(session: Session, identity_id: str) -> list[Place]:
    """Where this person belongs, oldest membership first."""
    rows = session.execute(
        select(Member, Organization)
        .join(Organization, Organization.id == Member.organization_id)
        .where(Member.identity_id == identity_id, Member.status.in_(HERE), Organization.state != "erased")
        .order_by(Member.id)
    )
    return [Place(*row) for row in rows]


def open_sessions(identity_id: str, now: datetime) -> Any:
    """The list of a person's sessions with their organizations, newest first."""
    return (
        select(LoginSession, Organization)
        .join(Organization, Organization.id == LoginSession.organization_id)
        .where(LoginSession.identity_id == identity_id, LoginSession.ended_at.is_(None), LoginSession.idle_at > now)
        .order_by(LoginSession.id.desc())
    )


def link(session: Session, raw: str, purposes: tuple[str, ...], now: datetime, *, lock: str = "") -> Link:
    """What a mailed link is good for. Raises NoSuchLink or LinkSpent."""
    query = select(MailedToken).where(MailedToken.digest == tokens.digest(raw), MailedToken.purpose.in_(purposes))
    token = session.scalars(_locked(query, lock)).one_or_none()
    if token is None:
        raise NoSuchLink()
    identity = session.get_one(Identity, token.identity_id)
    found = session.get(Member, token.member_id) if token.member_id else None
    left = found is not None and (found.status not in HERE or found.identity_id != identity.id)
    if token.used_at or token.superseded_at or token.expires_at <= now or left or identity.email != token.email:
        raise LinkSpent()
    return Link(token, identity, found, session.get(Organization, found.organization_id) if found else None)


def revocations(session: Session, after: int, now: datetime) -> tuple[list[Revocation], int]:
    """What was revoked after that number, and the last number. A reader that is ahead of us begins anew."""
    last = session.scalar(select(Counter.value).where(Counter.name == "revocations")) or 0
    begin = after if after <= last else 0
    query = select(Revocation).where(
        Revocation.seq > begin, Revocation.seq <= last, Revocation.at > now - FEED_KEPT
    )
    return list(session.scalars(query.order_by(Revocation.seq))), last


def settings_of(session: Session, provider_id: str) -> ProviderSettings | None:
    """The provider's settings as last heard."""
    return session.get(ProviderSettings, provider_id)


def _locked(query: Select[Any], lock: str) -> Select[Any]:
    if not lock:
        return query
    return query.with_for_update(read=lock == "use").execution_options(populate_existing=True)
