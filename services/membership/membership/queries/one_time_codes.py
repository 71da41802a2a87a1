"""One-time codes: who has them and who needs them."""

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from membership.models import Authenticator
from membership.queries.locking import locked
from membership.queries.people import memberships


def authenticators_of(identity_id: str) -> Select[Authenticator]:
    """The query of a person's confirmed authenticators, oldest first."""
    return (
        select(Authenticator)
        .where(Authenticator.identity_id == identity_id, Authenticator.confirmed_at.is_not(None))
        .order_by(Authenticator.created_at, Authenticator.id)
    )


def authenticators(
    session: Session, identity_id: str, *, lock: str = ""
) -> Sequence[Authenticator]:
    """The person's confirmed authenticators, oldest first."""
    return session.scalars(locked(authenticators_of(identity_id), lock)).all()


def unconfirmed_authenticator(session: Session, identity_id: str) -> Authenticator | None:
    """The person's authenticator whose first code is outstanding, locked."""
    query = select(Authenticator).where(
        Authenticator.identity_id == identity_id, Authenticator.confirmed_at.is_(None)
    )
    return session.scalars(locked(query, "change")).one_or_none()


def has_one_time_codes(session: Session, identity_id: str) -> bool:
    """Whether the person logs in with one-time codes."""
    query = select(Authenticator.id).where(
        Authenticator.identity_id == identity_id, Authenticator.confirmed_at.is_not(None)
    )
    return session.scalar(query.limit(1)) is not None


def needs_codes(session: Session, identity_id: str) -> bool:
    """Whether the person has joined an organization that requires one-time codes."""
    joined = [m for m in memberships(session, identity_id) if m.member.status == "active"]
    return any(membership.organization.mfa_required for membership in joined)
