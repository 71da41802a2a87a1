"""Recording the findings of the ledger audit, batch by batch, until a pass is complete."""

from datetime import datetime
from typing import Any

from chassis.messaging import outbox
from chassis.runtime import clock, log
from contracts import billing as messages
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from billing import queries
from billing.models import LedgerAudit
from billing.queries import MAX_DISCREPANCIES

MAX_AUDITS = 100
RUNNING, PASSED, FAILED = "running", "passed", "failed"
_LOG = log.get("ledger")


def record_audit_batch(session: Session, *, batch: queries.AuditBatch, now: datetime) -> None:
    """Add the batch to its pass; the last batch finishes the pass.

    A batch that another process has already recorded is dropped.
    """
    audit = _audit_of(session, batch, now)
    if audit is None:
        return
    discrepancies = [discrepancy._asdict() for discrepancy in batch.discrepancies]
    for discrepancy in discrepancies:
        _LOG.error("ledger.discrepancy", provider_id=batch.provider_id, **discrepancy)
    audit.accounts += batch.accounts
    audit.entries += batch.entries
    audit.trial_balance = _merged(audit.trial_balance, batch.trial_balance)
    audit.discrepancies = [*audit.discrepancies, *discrepancies][:MAX_DISCREPANCIES]
    audit.after = batch.last
    if batch.last is None:
        _finish(session, audit, now)


def _audit_of(session: Session, batch: queries.AuditBatch, now: datetime) -> LedgerAudit | None:
    """The pass that the batch belongs to, locked, or a new one; None if the pass is past it."""
    if batch.audit_id is not None:
        audit = session.get(LedgerAudit, batch.audit_id, with_for_update=True)
        if audit is None or audit.after != batch.after:
            return None
        return audit
    audit = LedgerAudit(
        provider_id=batch.provider_id,
        status=RUNNING,
        started_at=now,
        accounts=0,
        entries=0,
        trial_balance={},
        discrepancies=[],
    )
    session.add(audit)
    return audit


def _merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The sum of two trial balances."""
    merged: dict[str, Any] = {}
    for balance in (first, second):
        for currency, totals in balance.items():
            target = merged.setdefault(currency, {"accounts": {}, "customers": 0})
            target["customers"] += totals["customers"]
            for name, (debit, credit) in totals["accounts"].items():
                before = target["accounts"].get(name, (0, 0))
                target["accounts"][name] = [before[0] + debit, before[1] + credit]
    return merged


def _finish(session: Session, audit: LedgerAudit, now: datetime) -> None:
    """Finish the pass, publish it if it failed or the one before did, and delete the oldest."""
    audit.status = FAILED if audit.discrepancies else PASSED
    audit.finished_at = now
    session.flush()
    earlier = session.execute(
        select(LedgerAudit.id, LedgerAudit.status)
        .where(LedgerAudit.provider_id == audit.provider_id, LedgerAudit.id < audit.id)
        .order_by(LedgerAudit.id.desc())
        .limit(MAX_AUDITS)
    ).all()
    previous_status = next((row.status for row in earlier if row.status != RUNNING), None)
    if FAILED in (audit.status, previous_status):
        outbox.publish(
            session,
            messages.LedgerProved(
                provider_id=audit.provider_id,
                status=audit.status,
                started_at=clock.stamp(audit.started_at),
                finished_at=clock.stamp(now),
                accounts=audit.accounts,
                entries=audit.entries,
                discrepancies=len(audit.discrepancies),
            ),
        )
    if len(earlier) == MAX_AUDITS:
        session.execute(
            delete(LedgerAudit).where(
                LedgerAudit.provider_id == audit.provider_id, LedgerAudit.id <= earlier[-1].id
            )
        )
    _LOG.info(
        "ledger.audited",
        provider_id=audit.provider_id,
        status=audit.status,
        accounts=audit.accounts,
        entries=audit.entries,
        discrepancies=len(audit.discrepancies),
    )
