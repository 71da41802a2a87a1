"""One-time codes: who has them and who needs them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from membership.models import Totp
from membership.queries.locking import locked
from membership.queries.logins import requirements
from membership.queries.people import memberships


def totp(session: Session, identity_id: str, *, lock: str = "") -> Totp | None:
    """The person's authenticator app, confirmed or not."""
    query = select(Totp).where(Totp.identity_id == identity_id)
    return session.scalars(locked(query, lock)).one_or_none()


def has_one_time_codes(session: Session, identity_id: str) -> bool:
    """Whether the person logs in with one-time codes."""
    query = select(Totp.identity_id).where(
        Totp.identity_id == identity_id, Totp.confirmed_at.is_not(None)
    )
    return session.scalar(query) is not None


def provider_requires_codes(session: Session, identity_id: str) -> bool:
    """Whether the person works for a provider that requires one-time codes of its staff."""
    organizations = [m.organization for m in memberships(session, identity_id)]
    return any(requirements(session, organization).codes for organization in organizations)
