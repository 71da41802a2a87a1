"""Receipts that are due, and what goes into them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from org import values
from org.models import Receipt, TrailEntry
from org.queries.history import MAX_BATCH


def due_receipts(session: Session, *, now: datetime, limit: int) -> Sequence[Receipt]:
    """Receipts whose time has come, locked."""
    return session.scalars(
        select(Receipt)
        .where(Receipt.due_at <= now)
        .order_by(Receipt.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def changes_by_support(
    session: Session, receipt: Receipt, grace: timedelta
) -> Sequence[TrailEntry]:
    """What staff changed in one acting session, oldest first.

    ``grace``: how long after its end its last requests may still have been running."""
    about_support = or_(
        TrailEntry.action.startswith("support."), TrailEntry.action.startswith("member.login_as.")
    )
    return session.scalars(
        select(TrailEntry)
        .where(
            TrailEntry.organization_id == receipt.organization_id,
            TrailEntry.actor_kind == values.SUPPORT,
            TrailEntry.at >= receipt.started_at,
            TrailEntry.at <= receipt.ended_at + grace,
            TrailEntry.actor["acting"]["acting"].as_string() == receipt.acting_id,
            TrailEntry.outcome == "ok",
            ~about_support,
        )
        .order_by(TrailEntry.at, TrailEntry.id)
        .limit(MAX_BATCH)
    ).all()
