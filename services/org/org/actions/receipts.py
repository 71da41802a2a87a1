"""Receipts: reporting to an organization what staff did in it."""

from datetime import datetime, timedelta
from typing import Any

from chassis.messaging import outbox
from chassis.runtime import clock
from contracts import org
from sqlalchemy.orm import Session

from org import queries, values
from org.models import Receipt, TrailEntry

AUDIT_DELAY = timedelta(seconds=10)  # until the audit of a session has arrived here
LAST_REQUESTS = timedelta(seconds=60)  # how long a request may run on after its session
MAX_ROWS = 200
MAX_CHARACTERS = 150_000


def schedule_receipt(
    session: Session,
    *,
    organization_id: str,
    acting_id: str,
    started_at: str,
    ended_at: str,
    now: datetime,
) -> None:
    """Staff have left an organization: it gets a receipt once their audit has arrived here."""
    if session.get(Receipt, acting_id) is not None:
        return
    session.add(
        Receipt(
            acting_id=acting_id,
            organization_id=organization_id,
            due_at=now + AUDIT_DELAY,
            started_at=datetime.fromisoformat(started_at),
            ended_at=datetime.fromisoformat(ended_at),
        )
    )


def publish_receipts(session: Session, *, now: datetime, limit: int = 20) -> int:
    """Publish the receipts that are due; returns how many."""
    receipts = queries.due_receipts(session, now=now, limit=limit)
    for receipt in receipts:
        outbox.publish(session, _receipt_ready(session, receipt))
        session.delete(receipt)
    return len(receipts)


def _receipt_ready(session: Session, receipt: Receipt) -> org.SupportReceiptReady:
    entries = queries.changes_by_support(session, receipt, LAST_REQUESTS)
    rows = [_as_customers_see(entry) for entry in entries]
    rows = values.first_that_fit(rows, max_rows=MAX_ROWS, max_characters=MAX_CHARACTERS)
    return org.SupportReceiptReady(
        organization_id=receipt.organization_id,
        acting_id=receipt.acting_id,
        rows=[org.Change(**row) for row in rows],
        left_out=len(entries) - len(rows),
    )


def _as_customers_see(entry: TrailEntry) -> dict[str, Any]:
    seen = values.as_customers_see(
        {
            "actor": entry.actor,
            "target": entry.target,
            "changes": entry.changes,
            "reason": entry.reason,
        }
    )
    return {
        "at": clock.stamp(entry.at),
        "action": entry.action,
        "target": seen["target"],
        "changes": seen["changes"],
    }
