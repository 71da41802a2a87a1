"""Paying open invoices from the surplus that there is."""

from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log
from billing.actions.ledger import posting
from billing.actions.payments import allocation, chosen_invoices
from billing.values import PREPAID


def allocate(
    session: Session, *, organization_id: str, now: datetime, by: Actor
) -> list[dict[str, Any]]:
    """Pay the open invoices from the surplus, oldest invoice and oldest money first; returns what
    paid what. If there is nothing to do, nothing is posted. Raises NoAccount, AccountClosed,
    PostpaidOnly."""
    account = posting.lock_account(session, organization_id)
    if account.payment_mode == PREPAID:
        raise chosen_invoices.PostpaidOnly()
    invoices = allocation.open_invoices(session, account) if account.surplus else []
    transfers = allocation.pay_from_surplus(invoices, account.surplus)
    if not transfers:
        return []
    rows = posting.post(
        session,
        account,
        transfers,
        kind="allocation",
        now=now,
        by=by,
        description="Surplus allocated to invoices",
    )
    audit_log.record_transaction(session, account, "account.allocated", rows, by=by, now=now)
    allocation.update_invoices(session, account, rows, now)
    session.flush()
    seqs = [row.seq for row in rows]
    return queries.assignments(session, organization_id, seqs, account.currency)
