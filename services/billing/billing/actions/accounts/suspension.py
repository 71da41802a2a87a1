"""Freezing accounts of suspended organizations, and reopening accounts."""

from datetime import datetime

from chassis.auth.actor import SYSTEM
from chassis.messaging import outbox
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts, audit_log, notifications
from billing.values import FROZEN, OPEN, SEALED


def freeze_account(
    session: Session, *, organization_id: str, now: datetime, conversation_id: str = ""
) -> None:
    """Refuse charges from now on; money may still come in and go out. Only affects open accounts.

    ``conversation_id``: the saga to reply to, also if nothing changes. Raises NoAccount.
    """
    account = queries.get_account(session, organization_id, lock=True)
    if account.status == OPEN:
        account.status = FROZEN
        notifications.publish_balance(session, account, now=now)
    if conversation_id:
        outbox.publish(
            session,
            messages.AccountFrozen(
                organization_id=organization_id, conversation_id=conversation_id
            ),
        )


def reopen_account(
    session: Session, *, organization_id: str, conversation_id: str, frozen: bool, now: datetime
) -> None:
    """Reopen the account and publish it, also if it is open already.

    ``frozen``: charges stay refused. A sealed account stays closed and nothing is published. Raises
    NoAccount.
    """
    account = queries.get_account(session, organization_id, lock=True)
    if account.status == SEALED:
        return
    before = account.status
    account.status = FROZEN if frozen else OPEN
    if before != account.status:
        account.closed_from = account.closed_at = None
        audit_log.record(
            session,
            account,
            "account.reopened",
            by=SYSTEM,
            now=now,
            changes=[{"field": "status", "before": before, "after": account.status}],
        )
        alerts.check_thresholds(session, account, account.figures(now).usable, now)
        notifications.publish_balance(session, account, now=now)
    outbox.publish(
        session,
        messages.AccountReopened(organization_id=organization_id, conversation_id=conversation_id),
    )
