"""Payments and what they are assigned to; giving back and taking back."""

from typing import Any

import marshmallow as ma
from chassis.http import paging
from chassis.http.fields import Stamp, Text, TypeId

from billing.schemas.fields import Day, Money, Paid, amount_shown


def _invoice_ids(**kwargs: Any) -> ma.fields.List[str]:
    once = {"uniqueItems": True}
    return ma.fields.List(
        TypeId("inv"), validate=(ma.validate.Length(max=200), _once), metadata=once, **kwargs
    )


def _once(found: list[str]) -> None:
    if len(set(found)) < len(found):
        raise ma.ValidationError("twice: Name each invoice once.")


class NewPayment(Paid):
    """Money that came in for invoices. ``received_on``: today unless said otherwise;
    ``invoice_ids``: which it is for, in this order; without them the oldest first."""

    received_on = Day()
    invoice_ids = _invoice_ids()


class PaymentPatch(ma.Schema):
    """Which invoices the payment is for, in this order; none: it stays on the account."""

    invoice_ids = _invoice_ids()


class Assigned(ma.Schema):
    """What an invoice has of a payment."""

    invoice_id = ma.fields.String(required=True)
    number = ma.fields.String(required=True)
    amount = amount_shown(required=True)


class Payment(ma.Schema):
    """A payment and what of it is assigned. ``status``: received | reversed."""

    id = ma.fields.String(required=True)
    organization_id = ma.fields.String(required=True)
    amount = amount_shown(required=True)
    currency = ma.fields.String(required=True)
    method = ma.fields.String(required=True)
    reference = ma.fields.String(allow_none=True)
    received_on = ma.fields.Date(required=True)
    status = ma.fields.String(required=True)
    assigned = amount_shown(required=True)
    unassigned = amount_shown(required=True)
    invoices = ma.fields.List(ma.fields.Nested(Assigned), required=True)
    edits_left = ma.fields.Integer(required=True)
    created_at = Stamp(required=True)
    transaction_id = ma.fields.String(required=True)


PaymentPage = paging.page_of(Payment)


class Refund(ma.Schema):
    """A charge given back; without an amount, all that is left of it."""

    transaction_id = TypeId("txn", required=True)
    amount = Money()
    reason = Text(required=True, most=500, lines=True)


class Reversal(ma.Schema):
    """Why a transaction is taken back."""

    reason = Text(required=True, most=500, lines=True)
