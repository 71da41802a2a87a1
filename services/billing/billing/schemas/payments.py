"""Payments and their allocation to invoices; refunds and reversals."""

from typing import Any

import marshmallow as ma
from chassis.http import paging
from chassis.http.fields import Stamp, Text, TypeId

from billing.schemas.fields import Day, Money, Paid, amount_shown


def named_invoices(**kwargs: Any) -> ma.fields.List[str]:
    metadata = {"uniqueItems": True}
    return ma.fields.List(
        TypeId("inv"),
        validate=(ma.validate.Length(max=200), _check_unique),
        metadata=metadata,
        **kwargs,
    )


def _check_unique(invoice_ids: list[str]) -> None:
    if len(set(invoice_ids)) < len(invoice_ids):
        raise ma.ValidationError("twice: Name each invoice once.")


class NewPayment(Paid):
    """Money received for invoices.

    ``received_on``: by default today. ``invoice_ids``: the invoices it is for, in this order; by
    default the oldest first.
    """

    received_on = Day()
    invoice_ids = named_invoices()


class PaymentPatch(ma.Schema):
    """The invoices the payment is for, in this order; if empty, it stays on the account as
    credit."""

    invoice_ids = named_invoices()


class Assigned(ma.Schema):
    """The part of a payment assigned to an invoice."""

    invoice_id = ma.fields.String(required=True)
    number = ma.fields.String(required=True)
    amount = amount_shown(required=True)


class Payment(ma.Schema):
    """A payment and its assignment to invoices. ``status``: received | reversed."""

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


class Allocate(ma.Schema):
    """Pays open invoices from the surplus; the body is empty."""


class AllocationShown(ma.Schema):
    """A part of an invoice that was paid. ``source``: the transaction whose money paid it."""

    source = ma.fields.String(required=True)
    invoice_id = ma.fields.String(required=True)
    amount = amount_shown(required=True)


class Allocated(ma.Schema):
    """What was paid now."""

    allocations = ma.fields.List(ma.fields.Nested(AllocationShown), required=True)


class Refund(ma.Schema):
    """A refund of a charge; without an amount, of all that is left of it."""

    transaction_id = TypeId("txn", required=True)
    amount = Money()
    reason = Text(required=True, most=500, lines=True)


class Reversal(ma.Schema):
    """Why a transaction is reversed."""

    reason = Text(required=True, most=500, lines=True)
