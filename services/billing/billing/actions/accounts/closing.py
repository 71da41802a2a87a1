"""Closing an account for a deletion: tested and done in one step under its lock, or refused with
what is left."""

from datetime import datetime

from chassis import audit
from chassis.auth.actor import SYSTEM
from chassis.messaging import outbox
from contracts import billing as said
from contracts import parts
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger import posting
from billing.actions.reservations import expiry
from billing.models import Account
from billing.values import CLOSED, SEALED


def close_account(
    session: Session, *, organization_id: str, deletion_id: str, now: datetime
) -> None:
    """Close the account if every bucket is empty, and say which way it went; a closed one says so
    again.

    Raises NoAccount."""
    account = queries.get_account(session, organization_id, lock=True)
    if not account.is_closed:
        expiry.expire_due(session, account, now)
    blockers = _blockers(account, now)
    if blockers:
        outbox.publish(
            session,
            said.AccountNotClosed(
                organization_id=organization_id, deletion_id=deletion_id, blockers=blockers
            ),
        )
        return
    if not account.is_closed:
        account.closed_from, account.status, account.closed_at = account.status, CLOSED, now
        _record_status(session, account, "account.closed", account.closed_from, now)
    outbox.publish(
        session, said.AccountClosed(organization_id=organization_id, deletion_id=deletion_id)
    )


def seal_account(
    session: Session, *, organization_id: str, deletion_id: str, now: datetime
) -> None:
    """Test the closed account once more and close it for good, so that its audit names nobody any
    more, or say what stands in the way. Raises NoAccount."""
    account = queries.get_account(session, organization_id, lock=True)
    blockers = _blockers(account, now)
    if blockers or not account.is_closed:
        outbox.publish(
            session,
            said.AccountNotSealed(
                organization_id=organization_id, deletion_id=deletion_id, blockers=blockers
            ),
        )
        return
    if account.status != SEALED:
        before, account.status = account.status, SEALED
        _record_status(session, account, "account.sealed", before, now)
        audit.erase(session, organization_id)
    outbox.publish(
        session, said.AccountSealed(organization_id=organization_id, deletion_id=deletion_id)
    )


def _blockers(account: Account, now: datetime) -> list[parts.Blocker]:
    return [parts.Blocker(**blocker) for blocker in queries.blockers(account, now)]


def _record_status(
    session: Session, account: Account, action: str, before: str, now: datetime
) -> None:
    posting.record(
        session,
        account,
        action,
        by=SYSTEM,
        now=now,
        changes=[{"field": "status", "before": before, "after": account.status}],
    )
    posting.publish_balance(session, account, now)
