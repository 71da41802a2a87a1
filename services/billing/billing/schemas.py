"""What crosses billing's door."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import marshmallow as ma
from chassis import paging
from chassis.fields import Stamp, Text

from billing import values

_KINDS = (*values.CHARGES, *values.ADJUSTMENTS, "top_up", "withdrawal", "mode_change", "charge", "adjustment")
_DIRECTIONS = {"in": "in", "out": "out", "credit": "in", "debit": "out"}


class Money(ma.fields.Field[int]):
    """An amount as a decimal string, in millionths inside. ``signed``: below zero too; ``zero``: nothing too."""

    def __init__(self, *, signed: bool = False, zero: bool = False, **kwargs: Any) -> None:
        self.signed, self.zero = signed, zero
        sign = "-?" if signed else ""
        shape = {"type": "string", "pattern": f"^{sign}[0-9]{{1,12}}(\\.[0-9]{{1,6}})?$", "examples": ["12.50"]}
        kwargs["metadata"] = {**shape, **kwargs.get("metadata", {})}
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        try:
            return values.parse_money(value, signed=self.signed, zero=self.zero)
        except values.BadMoney as problem:
            raise ma.ValidationError(f"money: {problem}") from problem


class Moment(ma.fields.String):
    """An instant, or a date for its beginning (``ends``: its end), UTC."""

    def __init__(self, *, ends: bool = False, **kwargs: Any) -> None:
        self.ends = ends
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            day = date.fromisoformat(value if len(value) == 10 else "")
        except ValueError:
            return Stamp().deserialize(value, attr, data, **kwargs)
        begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return begins + timedelta(days=1) if self.ends and day < date.max else begins


def _amount_shown(**kwargs: Any) -> ma.fields.String:
    return ma.fields.String(metadata={"examples": ["100.00"]}, **kwargs)


class AutoTopUp(ma.Schema):
    """``threshold``: at how many usable credits it fires; not set, 20 % of the last top-up."""

    enabled = ma.fields.Boolean()
    threshold = Money(zero=True, allow_none=True)
    amount = Money(allow_none=True)
    method = ma.fields.String(validate=ma.validate.OneOf(("card", "issue", "cheque", "bank_transfer")), allow_none=True)


class AccountPatch(ma.Schema):
    """``credit_limit_expires_at`` makes the limit temporary; null makes it permanent."""

    payment_mode = ma.fields.String(validate=ma.validate.OneOf((values.PREPAID, values.POSTPAID)))
    credit_limit = Money(zero=True)
    credit_limit_expires_at = Stamp(allow_none=True)
    auto_top_up = ma.fields.Nested(AutoTopUp)


class AutoTopUpShown(ma.Schema):
    """The automatic top-up as set."""

    enabled = ma.fields.Boolean(required=True)
    threshold = _amount_shown(allow_none=True)
    amount = _amount_shown(allow_none=True)
    method = ma.fields.String(allow_none=True)


class Account(ma.Schema):
    """A customer's account. In the customer's favour positive, owed negative."""

    organization_id = ma.fields.String(required=True)
    currency = ma.fields.String(required=True)
    payment_mode = ma.fields.String(required=True)
    status = ma.fields.String(required=True)
    usable_credits = _amount_shown(required=True)
    balance = _amount_shown(required=True)
    credit_limit = _amount_shown(required=True)
    credit_limit_expires_at = Stamp(allow_none=True)
    reserved_credits = _amount_shown(required=True)
    expecting_invoice = _amount_shown(required=True)
    amount_due = _amount_shown(required=True)
    current_balance = _amount_shown(required=True)
    days_to_empty = ma.fields.Integer(allow_none=True)
    auto_top_up = ma.fields.Nested(AutoTopUpShown, required=True)
    payment_method = ma.fields.Dict(allow_none=True)
    as_of = Stamp(required=True)


class _Paid(ma.Schema):
    amount = Money(required=True)
    method = ma.fields.String(required=True, validate=ma.validate.OneOf(values.METHODS))
    reference = Text(most=255)


class TopUp(_Paid):
    """Money that came in."""

    remark = Text(most=500, lines=True)


class Withdrawal(_Paid):
    """Money that went out."""

    reason = Text(required=True, most=500, lines=True)


class Charge(ma.Schema):
    """Something sold. ``cost``: what it costs the provider; ``external_invoice``: it is billed elsewhere under this
    number and moves no money."""

    amount = Money(required=True)
    kind = ma.fields.String(required=True, validate=ma.validate.OneOf(values.CHARGES))
    description = Text(required=True, most=255)
    cost = Money(zero=True)
    external_invoice = Text(most=255)


class Adjustment(ma.Schema):
    """A correction by hand."""

    amount = Money(required=True, signed=True)
    kind = ma.fields.String(required=True, validate=ma.validate.OneOf(values.ADJUSTMENTS))
    reason = Text(required=True, most=500, lines=True)


class EntryShown(ma.Schema):
    """One leg of a transaction."""

    account = ma.fields.String(required=True)
    debit = _amount_shown(required=True)
    credit = _amount_shown(required=True)


class Transaction(ma.Schema):
    """Something that happened on an account. ``cost``, and its entries, are for staff only."""

    id = ma.fields.String(required=True)
    organization_id = ma.fields.String(required=True)
    kind = ma.fields.String(required=True)
    amount = _amount_shown(required=True)
    currency = ma.fields.String(required=True)
    balance_after = _amount_shown(required=True)
    description = ma.fields.String(allow_none=True)
    method = ma.fields.String(allow_none=True)
    reference = ma.fields.String(allow_none=True)
    remark = ma.fields.String(allow_none=True)
    reason = ma.fields.String(allow_none=True)
    external_invoice = ma.fields.String(allow_none=True)
    external_amount = _amount_shown()
    cost = _amount_shown()
    occurred_at = Stamp(required=True)
    entries = ma.fields.List(ma.fields.Nested(EntryShown))


TransactionPage = paging.page_of(Transaction)


class TransactionsQuery(paging.PageArgs):
    """``from`` is included, ``to`` is not, where it is an instant; a date as ``to`` includes its day."""

    kind = ma.fields.String(validate=ma.validate.OneOf(_KINDS))
    since = Moment(data_key="from")
    until = Moment(data_key="to", ends=True)
    direction = ma.fields.String(validate=ma.validate.OneOf(tuple(_DIRECTIONS)))

    @ma.post_load
    def translate(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """``credit`` and ``debit`` are other words for ``in`` and ``out``."""
        if "direction" in data:
            data["direction"] = _DIRECTIONS[data["direction"]]
        return data


class WalletTopUp(_Paid):
    """Money the provider put onto its own balance; ``currency``: its own unless named."""

    method = ma.fields.String(load_default="bank_transfer", validate=ma.validate.OneOf(values.METHODS[:4]))
    currency = ma.fields.String(validate=ma.validate.Regexp("^[A-Z]{3}$"))
    remark = Text(most=500, lines=True)


class Purse(ma.Schema):
    """usable = balance - customers_balance."""

    currency = ma.fields.String(required=True)
    balance = _amount_shown(required=True)
    customers_balance = _amount_shown(required=True)
    usable = _amount_shown(required=True)


class Wallet(ma.Schema):
    """The provider's money, by currency."""

    data = ma.fields.List(ma.fields.Nested(Purse), required=True)


class Blocker(ma.Schema):
    """A bucket that is not empty."""

    code = ma.fields.String(required=True)
    amount = _amount_shown(required=True)
    currency = ma.fields.String(required=True)


class ClosingCheck(ma.Schema):
    """What keeps an account from being closed."""

    blockers = ma.fields.List(ma.fields.Nested(Blocker), required=True)
