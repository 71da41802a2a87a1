"""One-time codes that people have, and who has to have them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from membership.models import Totp
from membership.queries.locking import locked
from membership.queries.logins import demands
from membership.queries.people import places


def totp(session: Session, identity_id: str, *, lock: str = "") -> Totp | None:
    """Somebody's one-time codes, confirmed or not."""
    return session.scalars(
        locked(select(Totp).where(Totp.identity_id == identity_id), lock)
    ).one_or_none()


def has_codes(session: Session, identity_id: str) -> bool:
    """Whether they log in with one-time codes."""
    query = select(Totp.identity_id).where(
        Totp.identity_id == identity_id, Totp.confirmed_at.is_not(None)
    )
    return session.scalar(query) is not None


def provider_demands_codes(session: Session, identity_id: str) -> bool:
    """Whether they work for a provider that demands one-time codes of its staff."""
    return any(demands(session, place.organization).codes for place in places(session, identity_id))
