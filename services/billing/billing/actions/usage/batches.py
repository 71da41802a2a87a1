"""Usage records that arrive in one request."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis import audit
from chassis.auth.actor import Actor
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing.actions.usage.records import ACCEPTED, UsageRecord, record_usage


def record_usage_batch(
    session: Session,
    *,
    provider_id: str,
    records: Sequence[UsageRecord],
    now: datetime,
    by: Actor,
) -> list[str]:
    """Record the usage as ``record_usage`` does, with one row in the provider's audit log if any
    was accepted; its time is the ``posted_at`` of the transactions."""
    outcomes = record_usage(session, records=records, now=now, by=by)
    accepted = [
        record for record, outcome in zip(records, outcomes, strict=True) if outcome == ACCEPTED
    ]
    if accepted:
        counts = {
            "records": len(accepted),
            "customers": len({record.organization_id for record in accepted}),
        }
        audit.record(
            session,
            messages.AuditRecorded,
            organization_id=provider_id,
            provider_id=provider_id,
            action="usage.recorded",
            by=by,
            now=now,
            target={"type": "usage", "id": accepted[0].id, "label": f"{len(accepted)} records"},
            changes=_changes(counts),
        )
    return outcomes


def _changes(counts: dict[str, int]) -> list[dict[str, Any]]:
    return [{"field": name, "before": None, "after": str(count)} for name, count in counts.items()]
