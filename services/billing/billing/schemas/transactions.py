"""Transactions of an account."""

from typing import Any

import marshmallow as ma
from chassis.http import paging
from chassis.http.fields import Stamp

from billing import values
from billing.schemas.fields import Moment, amount_shown

_KINDS = (
    *values.SPENDING_KINDS,
    *values.ADJUSTMENT_KINDS,
    "charge",
    "adjustment",
    "top_up",
    "withdrawal",
    "payment",
    "reassignment",
    "allocation",
    "refund",
    "reversal",
    "invoice",
    "void",
    "credit_note",
    "mode_change",
    "reservation",
    "release",
    "expiry",
)
_DIRECTIONS = {"in": "in", "out": "out", "credit": "in", "debit": "out"}


class EntryShown(ma.Schema):
    """One leg of a transaction: an account and its debit or credit."""

    account = ma.fields.String(required=True)
    debit = amount_shown(required=True)
    credit = amount_shown(required=True)


class PostedBy(ma.Schema):
    """Who posted a transaction; the audit log has the names."""

    kind = ma.fields.String(required=True)
    id = ma.fields.String(required=True)


class Transaction(ma.Schema):
    """A transaction on an account. ``cost`` and its entries are shown to staff only.

    ``occurred_at``: when it happened, which for usage may be long before it was posted;
    ``posted_at``: since when it counts in the balance. Lists are in the order of posting.
    ``actor``: null on transactions from before it was recorded. ``reserved``: the change of the
    reserved credits. ``refunds``, ``reverses``: the transaction that it refunds or reverses.
    """

    id = ma.fields.String(required=True)
    organization_id = ma.fields.String(required=True)
    kind = ma.fields.String(required=True)
    amount = amount_shown(required=True)
    currency = ma.fields.String(required=True)
    balance_after = amount_shown(required=True)
    description = ma.fields.String(allow_none=True)
    method = ma.fields.String(allow_none=True)
    reference = ma.fields.String(allow_none=True)
    remark = ma.fields.String(allow_none=True)
    reason = ma.fields.String(allow_none=True)
    external_invoice = ma.fields.String(allow_none=True)
    external_amount = amount_shown()
    actor = ma.fields.Nested(PostedBy, required=True, allow_none=True)
    reservation_id = ma.fields.String()
    reserved = amount_shown()
    refunds = ma.fields.String()
    reverses = ma.fields.String()
    payment_id = ma.fields.String()
    cost = amount_shown()
    occurred_at = Stamp(required=True)
    posted_at = Stamp(required=True)
    entries = ma.fields.List(ma.fields.Nested(EntryShown))


TransactionPage = paging.page_of(Transaction)


class TransactionsQuery(paging.PageArgs):
    """``from`` and ``to`` go by ``posted_at``. ``from`` is inclusive. ``to`` is exclusive if it is
    a moment, inclusive if it is a date.
    """

    kind = ma.fields.String(validate=ma.validate.OneOf(_KINDS))
    since = Moment(data_key="from")
    until = Moment(data_key="to", ends=True)
    direction = ma.fields.String(validate=ma.validate.OneOf(tuple(_DIRECTIONS)))

    @ma.post_load
    def translate(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """``credit`` and ``debit`` are synonyms of ``in`` and ``out``."""
        if "direction" in data:
            data["direction"] = _DIRECTIONS[data["direction"]]
        return data
