"""Voiding invoices."""

from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.errors import Conflict
from chassis.messaging import outbox
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import notifications
from billing.actions.invoicing import invoices
from billing.actions.ledger import posting
from billing.models import Account, Invoice
from billing.values import AWAITING, VOID, Code, Transfer, format_money


class InvoiceSettled(Conflict):
    code = "invoice_settled"
    detail = (
        "This invoice has payments or credits. Assign the payment elsewhere, or issue a credit "
        "note."
    )


def void_invoice(
    session: Session,
    *,
    organization_id: str,
    invoice_id: str,
    now: datetime,
    by: Actor,
    reason: str | None = None,
) -> dict[str, Any]:
    """Void an invoice without payments or credits; its charges are unbilled again.

    Returns the invoice. Raises NoAccount, NoInvoice, AccountClosed, InvoiceVoid, InvoiceSettled,
    AmountTooLarge.
    """
    account = posting.lock_account(session, organization_id)
    invoice = queries.get_invoice(session, organization_id, invoice_id)
    _check_voidable(invoice)
    invoice.status, invoice.voided_at = VOID, now
    _return_to_unbilled(session, account, invoice, reason=reason, now=now, by=by)
    invoices.record_action(
        session,
        invoice,
        "invoice.voided",
        by=by,
        now=now,
        reason=reason,
        changes=[{"field": "status", "before": AWAITING, "after": VOID}],
    )
    _publish_voided(session, account, invoice)
    notifications.publish_balance(session, account, now=now)
    return queries.show_invoice(session, invoice, now)


def _check_voidable(invoice: Invoice) -> None:
    if invoice.status == VOID:
        raise invoices.InvoiceVoid()
    if invoice.paid or invoice.credited:
        raise InvoiceSettled()


def _return_to_unbilled(
    session: Session,
    account: Account,
    invoice: Invoice,
    *,
    reason: str | None,
    now: datetime,
    by: Actor,
) -> None:
    reversed_rounding = invoices.rounding_transfers(-invoice.rounding, invoice.id)
    posting.post(
        session,
        account,
        [Transfer(Code.UNBILLED, Code.INVOICED, invoice.total, invoice.id), *reversed_rounding],
        kind="void",
        now=now,
        by=by,
        description=f"Invoice {invoice.number} voided",
        reason=reason,
    )


def _publish_voided(session: Session, account: Account, invoice: Invoice) -> None:
    outbox.publish(
        session,
        messages.InvoiceVoided(
            organization_id=account.organization_id,
            provider_id=account.provider_id,
            invoice_id=invoice.id,
            number=invoice.number,
            currency=invoice.currency,
            total=format_money(invoice.total, invoice.currency),
        ),
    )
