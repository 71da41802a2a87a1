"""Refunding charges."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.errors import Conflict, invalid
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log
from billing.actions.charges import adjustments
from billing.actions.invoicing import credit_notes
from billing.actions.ledger import posting
from billing.models import Account, Entry
from billing.models.taxes import rates_on
from billing.values import SPENDING_KINDS, Code, Transfer, divide, format_money, local_day


class RefundExceedsCharge(Conflict):
    code = "refund_exceeds_charge"
    detail = (
        "The refund is higher than what is left of this charge. Refund no more than the remaining "
        "amount."
    )


class RefundNotAllowed(Conflict):
    code = "refund_not_allowed"
    detail = "Refunds are switched off. Switch them on in the settings first."


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
    """Refund a charge, in part or (by default) all that is left of it; returns the transaction.

    It is credited to the balance or, postpaid, to the unbilled amount first; if the charge is on an
    invoice, by a credit note. Its taxes are those of the charge. Raises NoAccount, AccountClosed,
    RefundNotAllowed, RefundExceedsCharge, CreditExceedsInvoice, NothingToCredit, AmountTooLarge,
    Invalid.
    """
    account = posting.lock_account(session, organization_id)
    seller = queries.sellers(session, {account.provider_id})[account.provider_id]
    if not seller.setting("allow_refund"):
        raise RefundNotAllowed()
    charge = _get_charge(session, organization_id, transaction_id)
    charged = -charge[0].moved
    refunded = queries.refunded(session, organization_id, transaction_id)
    left = charged - refunded
    amount = left if amount is None else amount
    if not 0 < amount <= left:
        raise RefundExceedsCharge(left=format_money(left, account.currency))
    rows = _credit(
        session,
        account,
        charge,
        amount,
        extra=_returned_cost(charge, charged, refunded, amount),
        now=now,
        by=by,
        reason=reason,
        refunded_id=transaction_id,
        description=f"Refund: {charge[0].description}"[:255],
    )
    return queries.show_transaction(rows, account.currency, staff=True)


def _credit(
    session: Session,
    account: Account,
    charge: Sequence[Entry],
    amount: int,
    *,
    extra: list[Transfer],
    now: datetime,
    by: Actor,
    **fields: Any,
) -> Sequence[Entry]:
    """Credit the account or, by a credit note, the invoice that the charge is on."""
    revenue_row = next(row for row in charge if row.credit == Code.REVENUE)
    day = revenue_row.supplied_on or local_day(revenue_row.occurred_at, account.timezone)
    fields["supplied_on"] = day
    invoice = queries.invoice_of(session, account, revenue_row)
    if invoice is not None:
        return credit_notes.credit_invoice(
            session,
            account,
            invoice,
            amount,
            kind="refund",
            rates=rates_on(invoice.tax_periods, day),
            extra=extra,
            now=now,
            by=by,
            **fields,
        )
    transfers = adjustments.credit_customer(account, Code.REVENUE, amount) + extra
    rows = posting.post(session, account, transfers, kind="refund", now=now, by=by, **fields)
    audit_log.record_transaction(session, account, "account.refunded", rows, by=by, now=now)
    return rows


def _returned_cost(
    charge: Sequence[Entry], charged: int, refunded: int, amount: int
) -> list[Transfer]:
    """The provider's share of the cost.

    It is in proportion to the total refunded so far, so that nothing is lost to rounding.
    """
    cost = queries.cost_of(charge)
    returned = divide(cost * (refunded + amount), charged) - divide(cost * refunded, charged)
    if not returned:
        return []
    return [Transfer(Code.WALLET, Code.COST, returned)]


def _get_charge(session: Session, organization_id: str, transaction_id: str) -> Sequence[Entry]:
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
            "Only charges can be refunded. Reverse this transaction instead.",
        )
    if not rows[0].moved:
        raise invalid(
            "/transaction_id",
            "not_refundable",
            "This charge is invoiced elsewhere and moved no money here.",
        )
    return rows
