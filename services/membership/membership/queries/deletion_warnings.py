"""What the end of an organization would interrupt."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from membership.models import ActingSession
from membership.queries.transfers import offer


def warnings(session: Session, organization_id: str, now: datetime) -> list[dict[str, str]]:
    """In words for whoever is about to delete it."""
    found = []
    open_offer = offer(session, organization_id)
    if open_offer is not None and open_offer.status_at(now) == "offered":
        found.append(
            {
                "code": "pending_transfer",
                "detail": "The ownership was offered to a member who has not answered yet. The deletion cancels the offer.",
            }
        )
    inside = select(ActingSession.id).where(
        ActingSession.organization_id == organization_id,
        ActingSession.ended_at.is_(None),
        ActingSession.expires_at > now,
    )
    if session.scalar(inside.limit(1)) is not None:
        found.append(
            {
                "code": "acting_session",
                "detail": "Somebody of the provider's staff is inside the organization. The deletion ends their session.",
            }
        )
    return found
