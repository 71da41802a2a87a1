"""An account's figures and terms, and what people post to it."""

import marshmallow as ma
from chassis.http.fields import Flag, Stamp, Text

from billing import values
from billing.schemas.fields import Money, Paid, amount_shown
from billing.schemas.payments import named_invoices


class AutoTopUp(ma.Schema):
    """``threshold``: the usable credits at which it runs; if not set, 20% of the last top-up."""

    enabled = Flag()
    threshold = Money(zero=True, allow_none=True)
    amount = Money(allow_none=True)
    method = ma.fields.String(
        validate=ma.validate.OneOf(("card", "issue", "cheque", "bank_transfer")), allow_none=True
    )


class AccountPatch(ma.Schema):
    """``credit_limit_expires_at`` makes the limit temporary; null makes it permanent."""

    payment_mode = ma.fields.String(validate=ma.validate.OneOf((values.PREPAID, values.POSTPAID)))
    credit_limit = Money(zero=True)
    credit_limit_expires_at = Stamp(allow_none=True)
    auto_top_up = ma.fields.Nested(AutoTopUp)


class AutoTopUpShown(ma.Schema):
    """The automatic top-up."""

    enabled = ma.fields.Boolean(required=True)
    threshold = amount_shown(allow_none=True)
    amount = amount_shown(allow_none=True)
    method = ma.fields.String(allow_none=True)


class Account(ma.Schema):
    """A customer's account. Amounts in the customer's favor are positive, owed amounts negative."""

    organization_id = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    payment_mode = ma.fields.String(required=True)
    status = ma.fields.String(required=True)
    usable_credits = amount_shown(required=True)
    balance = amount_shown(required=True)
    credit_limit = amount_shown(required=True)
    credit_limit_expires_at = Stamp(allow_none=True)
    reserved_credits = amount_shown(required=True)
    expecting_invoice = amount_shown(required=True)
    amount_due = amount_shown(required=True)
    current_balance = amount_shown(required=True)
    days_to_empty = ma.fields.Integer(allow_none=True)
    auto_top_up = ma.fields.Nested(AutoTopUpShown, required=True)
    payment_method = ma.fields.Dict(allow_none=True)
    as_of = Stamp(required=True)


class TopUp(Paid):
    """Money received. ``invoice_ids``: of a postpaid account, the invoices that it pays, in this
    order; by default the oldest first."""

    remark = Text(most=500, lines=True)
    invoice_ids = named_invoices()


class Withdrawal(Paid):
    """Money paid out."""

    reason = Text(required=True, most=500, lines=True)


class Charge(ma.Schema):
    """A charge.

    ``cost``: its cost to the provider. ``external_invoice``: the number of an invoice issued
    elsewhere; the charge then moves no money.
    """

    amount = Money(required=True)
    kind = ma.fields.String(required=True, validate=ma.validate.OneOf(values.CHARGE_KINDS))
    description = Text(required=True, most=255)
    cost = Money(zero=True)
    external_invoice = Text(most=255)


class Adjustment(ma.Schema):
    """A manual correction."""

    amount = Money(required=True, signed=True)
    kind = ma.fields.String(required=True, validate=ma.validate.OneOf(values.ADJUSTMENT_KINDS))
    reason = Text(required=True, most=500, lines=True)


class Blocker(ma.Schema):
    """An amount that keeps the account from being closed."""

    code = ma.fields.String(required=True)
    amount = amount_shown(required=True)
    currency = ma.fields.String(required=True)


class ClosingCheck(ma.Schema):
    """Everything that keeps an account from being closed."""

    blockers = ma.fields.List(ma.fields.Nested(Blocker), required=True)
