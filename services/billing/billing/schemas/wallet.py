"""The provider's wallet."""

import marshmallow as ma
from chassis.http import paging
from chassis.http.fields import Text

from billing import values
from billing.schemas.fields import Paid, amount_shown


def _currency() -> ma.fields.String:
    return ma.fields.String(validate=ma.validate.Regexp("^[A-Z]{3}$"))


class WalletTopUp(Paid):
    """Money the provider adds to its wallet. ``currency``: by default the provider's own."""

    method = ma.fields.String(
        load_default="bank_transfer", validate=ma.validate.OneOf(values.METHODS[:4])
    )
    currency = _currency()
    remark = Text(most=500, lines=True)


class WalletTransactionsQuery(paging.PageArgs):
    """``currency``: only transactions in it."""

    currency = _currency()


class Purse(ma.Schema):
    """The wallet in one currency: usable = balance - customers_balance."""

    currency = ma.fields.String(required=True)
    balance = amount_shown(required=True)
    customers_balance = amount_shown(required=True)
    usable = amount_shown(required=True)


class Wallet(ma.Schema):
    """The provider's wallet, by currency."""

    data = ma.fields.List(ma.fields.Nested(Purse), required=True)
