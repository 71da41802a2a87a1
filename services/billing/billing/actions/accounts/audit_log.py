"""Audit rows about accounts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis import audit
from chassis.auth.actor import Actor
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import notifications
from billing.models import Account, Entry, Provider
from billing.values import format_money


def record(
    session: Session,
    account: Account,
    action: str,
    *,
    by: Actor,
    now: datetime,
    reason: str | None = None,
    target: dict[str, Any] | None = None,
    changes: list[dict[str, Any]] | None = None,
    outcome: str = "ok",
) -> None:
    """Record an action on the account; the target is the account itself unless given."""
    audit.record(
        session,
        messages.AuditRecorded,
        organization_id=account.organization_id,
        provider_id=account.provider_id,
        action=action,
        by=by,
        now=now,
        reason=reason,
        outcome=outcome,
        changes=changes,
        target=target or {"type": "account", "id": account.organization_id, "label": account.name},
    )


def record_transaction(
    session: Session,
    account: Account,
    action: str,
    rows: Sequence[Entry],
    *,
    by: Actor,
    now: datetime,
) -> None:
    """Record a posted transaction with the change of the balance, and publish the balance."""
    first = rows[0]
    balance_before = first.balance_after - first.moved
    record(
        session,
        account,
        action,
        by=by,
        now=now,
        reason=first.reason or first.remark,
        target={
            "type": "transaction",
            "id": first.transaction_id,
            "label": first.description or first.kind,
        },
        changes=[
            {
                "field": "balance",
                "before": format_money(balance_before, account.currency),
                "after": format_money(first.balance_after, account.currency),
            }
        ],
    )
    notifications.publish_balance(session, account, now=now)


def record_denial(
    session: Session, *, organization_id: str, operation: str, by: Actor, now: datetime
) -> None:
    """Record that a caller tried an operation without permission."""
    provider_id = queries.provider_of(session, organization_id)
    if provider_id is None and session.get(Provider, organization_id) is not None:
        provider_id = organization_id
    if provider_id is None:
        return
    if audit.denied_recently(session, organization_id, operation, by=by, now=now):
        return
    audit.record(
        session,
        messages.AuditRecorded,
        organization_id=organization_id,
        provider_id=provider_id,
        action=operation,
        by=by,
        now=now,
        outcome="denied",
        target={"type": "account", "id": organization_id, "label": ""},
    )
