"""Charging an account."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log, notifications
from billing.actions.charges import credit_check
from billing.actions.invoicing import invoices
from billing.actions.ledger import engine, posting
from billing.actions.ledger.orders import Order
from billing.actions.payments import allocation
from billing.models import Account, Entry, Invoice
from billing.models.decisions import Charge
from billing.values import USAGE, Code, Transfer


def charge_order(
    *,
    organization_id: str,
    amount: int,
    kind: str,
    description: str,
    by: Actor,
    cost: int = 0,
    external_invoice: str | None = None,
    provider_id: str | None = None,
) -> Order | None:
    """The order that posts the charge; None if it takes more than posting, see ``charge``.

    ``provider_id``: the provider that the customer must belong to; None if that was checked.
    """
    if kind != USAGE or external_invoice is not None:
        return None
    return Order(organization_id, Charge(amount, description, cost), by, provider_id)


def charge(session: Session, *, now: datetime, **terms: Any) -> dict[str, Any]:
    """Charge the account, and the provider for the cost, see ``charge_order``; returns the
    transaction.

    With an external invoice it is only recorded and moves no money. If the provider invoices such
    charges individually, it is invoiced at once. Raises NoAccount, AccountClosed, AccountFrozen,
    InsufficientCredits, AmountTooLarge.
    """
    order = charge_order(**terms)
    if order is None:
        return _charge_with_documents(session, now=now, **terms)
    return queries.show_posted(engine.post_one(session, order, now=now).rows)


def _charge_with_documents(
    session: Session,
    *,
    organization_id: str,
    amount: int,
    kind: str,
    description: str,
    now: datetime,
    by: Actor,
    cost: int = 0,
    external_invoice: str | None = None,
    provider_id: str | None = None,
) -> dict[str, Any]:
    account = posting.lock_account(session, organization_id, spending=True, provider_id=provider_id)
    invoice = None
    if external_invoice is not None:
        transfers = [Transfer(Code.BILLED_ELSEWHERE, Code.REVENUE, amount)]
    else:
        invoice, transfers = _bill(session, account, amount, cost, kind, now)
    rows = posting.post(
        session,
        account,
        transfers,
        kind=kind,
        now=now,
        by=by,
        description=description,
        external_invoice=external_invoice,
    )
    _record(session, account, rows, kind=kind, by=by, now=now)
    if invoice:
        email = account.billing.get("email")
        invoices.record_issued(session, invoice, transfers, email=email, now=now, by=by)
        allocation.update_invoices(session, account, rows, now)
    return queries.show_transaction(rows, account.currency, staff=True)


def _record(
    session: Session,
    account: Account,
    rows: Sequence[Entry],
    *,
    kind: str,
    by: Actor,
    now: datetime,
) -> None:
    """In the audit log. Usage has too many rows for it; the journal is its record, and
    names the actor."""
    if kind == USAGE:
        notifications.publish_balance_soon(session, account)
    else:
        audit_log.record_transaction(session, account, "account.charged", rows, by=by, now=now)


def _bill(
    session: Session, account: Account, amount: int, cost: int, kind: str, now: datetime
) -> tuple[Invoice | None, list[Transfer]]:
    """What the charge moves, and its invoice if it is invoiced individually. Raises
    InsufficientCredits."""
    credit_check.check(session, account, amount, now)
    row_count = 2 if cost else 1
    invoice = invoices.create_individual(session, account, amount, row_count, kind=kind, now=now)
    invoice_id = invoice.id if invoice else None
    transfers = [Transfer(account.charge_bucket, Code.REVENUE, amount, invoice_id)]
    if cost:
        transfers.append(Transfer(Code.COST, Code.WALLET, cost))
    if invoice:
        transfers += invoices.issue_transfers(invoice, account.surplus)
    return invoice, transfers
