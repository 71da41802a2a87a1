"""Sagas that are open, sagas and deletions that are due."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from org.models import Deletion, Saga


def open_saga(session: Session, organization_id: str) -> Saga | None:
    """The saga that this organization is in, locked; there is never more than one."""
    return session.scalars(
        select(Saga)
        .where(Saga.organization_id == organization_id, Saga.finished_at.is_(None))
        .with_for_update()
    ).one_or_none()


def unanswered_sagas(session: Session, *, now: datetime, limit: int) -> Sequence[Saga]:
    """Open sagas whose request is to be sent again, locked."""
    return session.scalars(
        select(Saga)
        .where(Saga.finished_at.is_(None), Saga.resend_at <= now)
        .order_by(Saga.resend_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def deletions_to_purge(session: Session, *, now: datetime, limit: int) -> Sequence[Deletion]:
    """Scheduled deletions whose purge is due, locked."""
    return session.scalars(
        select(Deletion)
        .where(Deletion.status == "scheduled", Deletion.due_at <= now)
        .order_by(Deletion.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
