"""Invoices and what is done to them."""

import marshmallow as ma
from chassis.http import paging
from chassis.http.fields import Stamp, Text

from billing import values
from billing.schemas.fields import Day, Money, amount_shown

_STATUSES = ("draft", values.AWAITING, values.PAID, values.VOID)


class NewInvoice(ma.Schema):
    """All that is unbilled becomes due: there is nothing to say beside."""


class VoidInvoice(ma.Schema):
    """Why it is taken back."""

    reason = Text(most=500, lines=True)


class NewCreditNote(ma.Schema):
    """``amount``: how much is taken back; all that is left of the invoice unless said otherwise."""

    amount = Money()
    reason = Text(required=True, most=500, lines=True)


class Party(ma.Schema):
    """Who sells, or buys, as it was on the day of issue."""

    name = ma.fields.String(required=True)
    country = ma.fields.String(required=True)
    billing = ma.fields.Dict(required=True)
    buyer_tags = ma.fields.Dict()


class Line(ma.Schema):
    """Something that was charged, or taken off; ``kind`` void: an earlier invoice that comes back.
    On an invoice of more than 5,000 lines usage is put together by day; such a line has no
    ``transaction_id``."""

    transaction_id = ma.fields.String(required=True, allow_none=True)
    occurred_at = Stamp(required=True)
    kind = ma.fields.String(required=True)
    description = ma.fields.String(allow_none=True)
    amount = amount_shown(required=True)


class CreditNote(ma.Schema):
    """What was taken back of an invoice."""

    number = ma.fields.String(required=True)
    transaction_id = ma.fields.String(required=True)
    amount = amount_shown(required=True)
    tax = amount_shown(required=True)
    reason = ma.fields.String(required=True)
    issued_at = Stamp(required=True)


class Invoice(ma.Schema):
    """What is due. ``total`` is gross, ``tax`` is in it; ``open`` = total - paid - credited is what
    it still asks for.

    ``kind``: individual | usage | consolidated | none; the last is only kept, not sent. It covers the rows
    ``from_seq`` to ``to_seq`` of the account's journal. ``lines`` and ``credit_notes`` only where it stands alone."""

    id = ma.fields.String(required=True)
    organization_id = ma.fields.String(required=True)
    number = ma.fields.String(required=True)
    kind = ma.fields.String(required=True)
    status = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    total = amount_shown(required=True)
    tax = amount_shown(required=True)
    net = amount_shown(required=True)
    tax_name = ma.fields.String(allow_none=True)
    tax_rate = ma.fields.String(allow_none=True)
    paid = amount_shown(required=True)
    credited = amount_shown(required=True)
    open = amount_shown(required=True)
    overdue = ma.fields.Boolean(required=True)
    issued_on = ma.fields.String(required=True, metadata={"format": "date"})
    due_on = ma.fields.String(required=True, metadata={"format": "date"})
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


InvoicePage = paging.page_of(Invoice)


class InvoicesQuery(paging.PageArgs):
    """``from`` and ``to``: the days of issue, both included. Nothing is a draft here: what is not issued yet is the
    account's unbilled amount, so that ``status`` finds nothing."""

    status = ma.fields.String(validate=ma.validate.OneOf(_STATUSES))
    overdue = ma.fields.Boolean(truthy={"true"}, falsy={"false"})
    since = Day(data_key="from")
    until = Day(data_key="to")
