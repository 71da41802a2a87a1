"""Invoices and credit notes."""

import marshmallow as ma
from chassis.http import paging
from chassis.http.fields import Stamp, Text

from billing import values
from billing.schemas.fields import Day, Money, amount_shown

_STATUSES = ("draft", values.AWAITING, values.PAID, values.VOID)


class NewInvoice(ma.Schema):
    """Invoices the whole unbilled amount; the body is empty."""


class VoidInvoice(ma.Schema):
    """Why the invoice is voided."""

    reason = Text(most=500, lines=True)


class NewCreditNote(ma.Schema):
    """``amount``: the amount to credit; by default all that is left of the invoice."""

    amount = Money()
    reason = Text(required=True, most=500, lines=True)


class Party(ma.Schema):
    """The seller or the buyer, as of the day of issue. ``company``: of the seller, as in its
    settings; missing on invoices from before there was one."""

    name = ma.fields.String(required=True)
    country = ma.fields.String(required=True)
    billing = ma.fields.Dict(required=True)
    company = ma.fields.Dict()
    buyer_tags = ma.fields.Dict()


class AppliedTax(ma.Schema):
    """A tax on a line; ``rate`` in percent of its net amount."""

    name = ma.fields.String(required=True)
    rate = ma.fields.String(required=True)


class ContainedTax(AppliedTax):
    """The tax that a document contains. ``taxable``: the net amount of the lines that bear it."""

    taxable = amount_shown(required=True)
    tax = amount_shown(required=True)


class TaxNote(ma.Schema):
    """Why an invoice contains no tax: ``kind`` is exempt or reverse_charge."""

    kind = ma.fields.String(required=True)
    reason = ma.fields.String(required=True, allow_none=True)


class Line(ma.Schema):
    """A charge or a credit, also of an earlier invoice that was voided; or, with ``kind`` rounding,
    what the total is rounded by.

    ``taxes``: those of ``occurred_on``, the day of supply; none if it is no supply. On an invoice
    of more than 5,000 lines usage is grouped by day; such a line has no ``transaction_id``.
    """

    transaction_id = ma.fields.String(required=True, allow_none=True)
    occurred_at = Stamp(required=True)
    occurred_on = ma.fields.String(required=True, metadata={"format": "date"})
    taxes = ma.fields.List(ma.fields.Nested(AppliedTax), required=True)
    kind = ma.fields.String(required=True)
    description = ma.fields.String(allow_none=True)
    amount = amount_shown(required=True)


class CreditNote(ma.Schema):
    """A credit of an invoice. ``amount`` includes ``rounding`` and ``tax``."""

    number = ma.fields.String(required=True)
    transaction_id = ma.fields.String(required=True)
    amount = amount_shown(required=True)
    rounding = amount_shown(required=True)
    tax = amount_shown(required=True)
    tax_breakdown = ma.fields.List(ma.fields.Nested(ContainedTax), required=True)
    reason = ma.fields.String(required=True)
    issued_at = Stamp(required=True)


class Payer(ma.Schema):
    """What has paid a part of an invoice. ``source``: the transaction that the money came with, of
    this ``kind``; ``payment_id``: the payment, if it is one."""

    source = ma.fields.String(required=True)
    kind = ma.fields.String(required=True)
    payment_id = ma.fields.String(required=True, allow_none=True)
    amount = amount_shown(required=True)


class Invoice(ma.Schema):
    """An invoice. ``total`` = ``subtotal`` + ``rounding`` is the sum of its lines and includes
    ``tax``; the balance due is ``open`` = total - paid - credited. ``written_off``: the part of
    ``credited`` that was written off as a bad debt. ``tax_breakdown``: the tax by name and rate.
    ``tax_note``: why there is none, if the customer is exempt or owes it itself.

    ``kind``: individual | usage | consolidated | none; the last is kept but not sent. It covers the
    rows ``from_seq`` to ``to_seq`` of the account's journal. ``lines``, ``credit_notes`` and
    ``allocations``, whose sum is ``paid``, are missing in lists.
    """

    id = ma.fields.String(required=True)
    organization_id = ma.fields.String(required=True)
    number = ma.fields.String(required=True)
    kind = ma.fields.String(required=True)
    status = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    total = amount_shown(required=True)
    tax = amount_shown(required=True)
    net = amount_shown(required=True)
    subtotal = amount_shown(required=True)
    rounding = amount_shown(required=True)
    tax_breakdown = ma.fields.List(ma.fields.Nested(ContainedTax), required=True)
    tax_note = ma.fields.Nested(TaxNote, required=True, allow_none=True)
    paid = amount_shown(required=True)
    credited = amount_shown(required=True)
    written_off = amount_shown(required=True)
    open = amount_shown(required=True)
    overdue = ma.fields.Boolean(required=True)
    issued_on = ma.fields.String(required=True, metadata={"format": "date"})
    due_on = ma.fields.String(required=True, metadata={"format": "date"})
    supply_from = ma.fields.String(required=True, metadata={"format": "date"})
    supply_to = ma.fields.String(required=True, metadata={"format": "date"})
    language = ma.fields.String(required=True)
    issued_at = Stamp(required=True)
    paid_at = Stamp(allow_none=True)
    voided_at = Stamp(allow_none=True)
    period = ma.fields.Dict(required=True)
    seller = ma.fields.Nested(Party, required=True)
    buyer = ma.fields.Nested(Party, required=True)
    from_seq = ma.fields.Integer(required=True)
    to_seq = ma.fields.Integer(required=True)
    lines = ma.fields.List(ma.fields.Nested(Line))
    credit_notes = ma.fields.List(ma.fields.Nested(CreditNote))
    allocations = ma.fields.List(ma.fields.Nested(Payer))


InvoicePage = paging.page_of(Invoice)


class InvoicesQuery(paging.PageArgs):
    """``from`` and ``to``: days of issue, inclusive.

    There are no drafts: what is not invoiced yet is the account's unbilled amount, so ``status``
    draft matches nothing.
    """

    status = ma.fields.String(validate=ma.validate.OneOf(_STATUSES))
    overdue = ma.fields.Boolean(truthy={"true"}, falsy={"false"})
    since = Day(data_key="from")
    until = Day(data_key="to")
