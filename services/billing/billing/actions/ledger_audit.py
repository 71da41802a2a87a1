"""Keeping what the auditor finds: piece by piece into a pass, which is passed or failed in the
end."""

from datetime import datetime
from typing import Any

from chassis.messaging import outbox
from chassis.runtime import clock, log
from contracts import billing as said
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from billing import queries
from billing.models import LedgerAudit
from billing.queries.ledger_audit.checks import MOST

KEPT = 100
RUNNING, PASSED, FAILED = "running", "passed", "failed"
_LOG = log.get("ledger")


def record_audit_batch(session: Session, *, piece: queries.AuditBatch, now: datetime) -> None:
    """Add the piece to its pass, and end the pass with the last one. A piece that somebody else has
    added meanwhile is dropped."""
    proof = _proof(session, piece, now)
    if proof is None:
        return
    for found in piece.discrepancies:
        _LOG.error("ledger.discrepancy", provider_id=piece.provider_id, **found._asdict())
    proof.accounts += piece.accounts
    proof.entries += piece.entries
    proof.trial_balance = _added(proof.trial_balance, piece.trial_balance)
    proof.discrepancies = [
        *proof.discrepancies,
        *(found._asdict() for found in piece.discrepancies),
    ][:MOST]
    proof.after = piece.last
    if piece.last is None:
        _finish(session, proof, now)


def _proof(session: Session, piece: queries.AuditBatch, now: datetime) -> LedgerAudit | None:
    """The pass the piece belongs to, locked, or a new one; None when it has gone on without it."""
    if piece.audit_id is not None:
        proof = session.get(LedgerAudit, piece.audit_id, with_for_update=True)
        return proof if proof and proof.after == piece.after else None
    proof = LedgerAudit(
        provider_id=piece.provider_id,
        status=RUNNING,
        started_at=now,
        accounts=0,
        entries=0,
        trial_balance={},
        discrepancies=[],
    )
    session.add(proof)
    return proof


def _added(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two trial balances as one."""
    both = {
        currency: {**sums, "accounts": dict(sums["accounts"])} for currency, sums in one.items()
    }
    for currency, sums in other.items():
        there = both.setdefault(currency, {"accounts": {}, "customers": 0})
        there["customers"] += sums["customers"]
        for name, (debit, credit) in sums["accounts"].items():
            before = there["accounts"].get(name, (0, 0))
            there["accounts"][name] = [before[0] + debit, before[1] + credit]
    return both


def _finish(session: Session, proof: LedgerAudit, now: datetime) -> None:
    """End the pass, say so where it is news, and forget the oldest ones."""
    proof.status, proof.finished_at = FAILED if proof.discrepancies else PASSED, now
    session.flush()
    earlier = session.execute(
        select(LedgerAudit.id, LedgerAudit.status)
        .where(LedgerAudit.provider_id == proof.provider_id, LedgerAudit.id < proof.id)
        .order_by(LedgerAudit.id.desc())
        .limit(KEPT)
    ).all()
    if FAILED in (
        proof.status,
        next((row.status for row in earlier if row.status != RUNNING), None),
    ):
        outbox.publish(
            session,
            said.LedgerProved(
                provider_id=proof.provider_id,
                status=proof.status,
                started_at=clock.stamp(proof.started_at),
                finished_at=clock.stamp(now),
                accounts=proof.accounts,
                entries=proof.entries,
                discrepancies=len(proof.discrepancies),
            ),
        )
    if len(earlier) == KEPT:
        session.execute(
            delete(LedgerAudit).where(
                LedgerAudit.provider_id == proof.provider_id, LedgerAudit.id <= earlier[-1].id
            )
        )
    _LOG.info(
        "ledger.proved",
        provider_id=proof.provider_id,
        status=proof.status,
        accounts=proof.accounts,
        entries=proof.entries,
        discrepancies=len(proof.discrepancies),
    )
