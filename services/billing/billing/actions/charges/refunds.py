"""Giving charges back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.errors import Conflict, invalid
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.charges import adjustments
from billing.actions.invoicing import invoices
from billing.actions.ledger import posting
from billing.models import Entry
from billing.values import SPENDING_KINDS, Code, Transfer, divide, format_money


class RefundExceedsCharge(Conflict):
    code = "refund_exceeds_charge"
    detail = (
        "The refund is higher than what is left of this charge. Refund no more than the remaining "
        "amount."
    )


def refund(
    session: Session,
    *,
    organization_id: str,
    transaction_id: str,
    reason: str,
    now: datetime,
    by: Actor,
    amount: int | None = None,
) -> dict[str, Any]:
    """Give a charge back, in part or all that is left of it; the transaction. It goes to the
    wallet; of a postpaid account off what is unbilled, and where the charge stands on an invoice,
    by a credit note.

    The provider gets its cost back in the proportion of all that was given back until then, so that
    nothing is lost to rounding. Raises NoAccount, AccountClosed, RefundExceedsCharge,
    CreditExceedsInvoice, AmountTooLarge, Invalid."""
    account = posting.lock_account(session, organization_id)
    charge = _charge(session, organization_id, transaction_id)
    charged, before = (
        -charge[0].moved,
        queries.refunded_or_reversed(session, organization_id, transaction_id) or 0,
    )
    left = charged - before
    amount = left if amount is None else amount
    if not 0 < amount <= left:
        raise RefundExceedsCharge(left=format_money(left, account.currency))
    cost = queries.cost_of(charge)
    returned = divide(cost * (before + amount), charged) - divide(cost * before, charged)
    beside = [Transfer(Code.WALLET, Code.COST, returned)] if returned else []
    words = {
        "reason": reason,
        "refunded_id": transaction_id,
        "description": f"Refund: {charge[0].description}"[:255],
    }
    charged_row = next(row for row in charge if row.credit == Code.REVENUE)
    invoice = queries.invoice_of(session, account, charged_row)
    if invoice is None:
        transfers = adjustments.credit_customer(account, Code.REVENUE, amount) + beside
        rows = posting.post(session, account, transfers, kind="refund", now=now, **words)
        posting.record_transaction(session, account, "account.refunded", rows, by=by, now=now)
    else:
        rows = invoices.credit_invoice(
            session, account, invoice, amount, kind="refund", extra=beside, now=now, by=by, **words
        )
    return queries.show_transaction(rows, account.currency, staff=True)


def _charge(session: Session, organization_id: str, transaction_id: str) -> Sequence[Entry]:
    """The rows of the charge or capture. Raises Invalid."""
    try:
        rows = queries.rows_of(session, organization_id, transaction_id)
    except queries.NoTransaction as problem:
        raise invalid(
            "/transaction_id", "unknown_transaction", "This customer has no such transaction."
        ) from problem
    if rows[0].kind not in SPENDING_KINDS:
        raise invalid(
            "/transaction_id",
            "not_refundable",
            "Only charges can be refunded. Reverse this one instead.",
        )
    if not rows[0].moved:
        raise invalid(
            "/transaction_id", "not_refundable", "It is billed elsewhere and moved no money here."
        )
    return rows
