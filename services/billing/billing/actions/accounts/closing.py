"""Closing and sealing an account of an organization that is deleted.

The account is checked and closed in one step under its lock, or refused with its blockers.
"""

from datetime import datetime

from chassis import audit
from chassis.auth.actor import SYSTEM
from chassis.messaging import outbox
from contracts import billing as messages
from contracts import parts
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log, notifications
from billing.actions.reservations import expiry
from billing.models import Account
from billing.values import CLOSED, SEALED


def close_account(
    session: Session, *, organization_id: str, deletion_id: str, now: datetime
) -> None:
    """Close the account if every bucket is empty, and publish the outcome.

    For a closed account the outcome is published again. Raises NoAccount.
    """
    account = queries.get_account(session, organization_id, lock=True)
    if not account.is_closed:
        expiry.expire_due(session, account, now)
    blockers = _blockers(account, now)
    if blockers:
        outbox.publish(
            session,
            messages.AccountNotClosed(
                organization_id=organization_id, deletion_id=deletion_id, blockers=blockers
            ),
        )
        return
    if not account.is_closed:
        account.closed_from, account.status, account.closed_at = account.status, CLOSED, now
        _record_status(session, account, "account.closed", account.closed_from, now)
    outbox.publish(
        session, messages.AccountClosed(organization_id=organization_id, deletion_id=deletion_id)
    )


def seal_account(
    session: Session, *, organization_id: str, deletion_id: str, now: datetime
) -> None:
    """Check the closed account again and close it permanently, or publish its blockers.

    Sealing erases the personal data in its audit log. Raises NoAccount.
    """
    account = queries.get_account(session, organization_id, lock=True)
    blockers = _blockers(account, now)
    if blockers or not account.is_closed:
        outbox.publish(
            session,
            messages.AccountNotSealed(
                organization_id=organization_id, deletion_id=deletion_id, blockers=blockers
            ),
        )
        return
    if account.status != SEALED:
        before, account.status = account.status, SEALED
        _record_status(session, account, "account.sealed", before, now)
        audit.erase(session, organization_id)
    outbox.publish(
        session, messages.AccountSealed(organization_id=organization_id, deletion_id=deletion_id)
    )


def _blockers(account: Account, now: datetime) -> list[parts.Blocker]:
    return [parts.Blocker(**blocker) for blocker in queries.blockers(account, now)]


def _record_status(
    session: Session, account: Account, action: str, before: str, now: datetime
) -> None:
    audit_log.record(
        session,
        account,
        action,
        by=SYSTEM,
        now=now,
        changes=[{"field": "status", "before": before, "after": account.status}],
    )
    notifications.publish_balance(session, account, now=now)
