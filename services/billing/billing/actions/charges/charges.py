"""Charges of one account."""

from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.charges import credit_check
from billing.actions.charges.fast_charge import fast_charge
from billing.actions.invoicing import invoices
from billing.actions.ledger import posting
from billing.values import USAGE, Code, Transfer


def charge(
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
) -> dict[str, Any]:
    """Charge the account, and the provider what it costs; the transaction. On an external invoice
    it is noted and moves no money, neither the customer's nor the provider's. Where the provider
    invoices such charges one by one, it is due at once.

    Raises NoAccount, AccountClosed, AccountFrozen, InsufficientCredits, AmountTooLarge."""
    if kind == USAGE and external_invoice is None:
        at_once = fast_charge(
            session,
            organization_id=organization_id,
            amount=amount,
            cost=cost,
            kind=kind,
            description=description,
            now=now,
        )
        if at_once:
            return queries.show_transaction(at_once, at_once[0].currency, staff=True)
    account, alone = posting.lock_account(session, organization_id, spending=True), None
    if external_invoice is not None:
        transfers = [Transfer(Code.BILLED_ELSEWHERE, Code.REVENUE, amount)]
    else:
        credit_check.check(session, account, amount, now)
        alone = invoices.create_individual(
            session, account, amount, 2 if cost else 1, kind=kind, now=now
        )
        transfers = [
            Transfer(account.charge_bucket, Code.REVENUE, amount, alone.id if alone else None)
        ]
        transfers += [Transfer(Code.COST, Code.WALLET, cost)] if cost else []
        transfers += invoices.issue_transfers(session, account, alone) if alone else []
    rows = posting.post(
        session,
        account,
        transfers,
        kind=kind,
        now=now,
        description=description,
        external_invoice=external_invoice,
    )
    if kind == USAGE:  # the journal is its record: there is too much of it for the audit
        posting.publish_balance_soon(session, account)
    else:
        posting.record_transaction(session, account, "account.charged", rows, by=by, now=now)
    if alone:
        invoices.record_issued(session, account, alone, rows, now=now, by=by)
    return queries.show_transaction(rows, account.currency, staff=True)
