"""Warnings about what deleting an organization would interrupt."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from membership.models import ActingSession
from membership.queries.transfers import offer


def deletion_warnings(
    session: Session, organization_id: str, now: datetime
) -> list[dict[str, str]]:
    """The warnings, with a ``code`` and a ``detail`` for the person who is about to delete it."""
    warnings: list[dict[str, str]] = []
    open_offer = offer(session, organization_id)
    if open_offer is not None and open_offer.status_at(now) == "offered":
        warnings.append(
            {
                "code": "pending_transfer",
                "detail": "The ownership was offered to a member who has not responded yet. "
                "Deleting the organization cancels the offer.",
            }
        )
    active = select(ActingSession.id).where(
        ActingSession.organization_id == organization_id,
        ActingSession.ended_at.is_(None),
        ActingSession.expires_at > now,
    )
    if session.scalar(active.limit(1)) is not None:
        warnings.append(
            {
                "code": "acting_session",
                "detail": "A member of the provider's staff is in the organization. Deleting the "
                "organization ends their session.",
            }
        )
    return warnings
