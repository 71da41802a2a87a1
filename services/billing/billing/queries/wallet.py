"""A provider's own money: its balance at the platform and its customers' share of it."""

from typing import Any, NamedTuple

from sqlalchemy import Select, case, func, literal, select, union_all
from sqlalchemy.orm import Session

from billing.models import Account, Entry, Provider
from billing.queries.journal import transactions
from billing.values import UNIT, Code


class WalletBalance(NamedTuple):
    """A provider's money in one currency, in millionths.

    ``balance``: at the platform. ``customers``: the part of it that belongs to customers.
    """

    currency: str
    balance: int
    customers: int

    @property
    def usable(self) -> int:
        """balance - the customers' positive money."""
        return self.balance - self.customers


def wallet_balances(session: Session, provider_id: str) -> list[WalletBalance]:
    """The provider's money by currency, all as of one instant; its own currency comes first."""
    own_currency = session.execute(
        select(Provider.currency).where(Provider.id == provider_id)
    ).scalar_one_or_none()
    totals = {own_currency: (0, 0)} if own_currency else {}
    for currency, *sums in session.execute(union_all(_customers(provider_id), _own(provider_id))):
        balance, customers = totals.get(currency, (0, 0))
        totals[currency] = balance + _whole(sums[:2]), customers + _whole(sums[2:])
    currencies = sorted(totals, key=lambda currency: (currency != own_currency, currency))
    return [WalletBalance(currency, *totals[currency]) for currency in currencies]


def wallet_balance(session: Session, provider_id: str, currency: str) -> WalletBalance:
    """The provider's money in one currency."""
    for balance in wallet_balances(session, provider_id):
        if balance.currency == currency:
            return balance
    return WalletBalance(currency, 0, 0)


def wallet_transactions(provider_id: str, *, currency: str | None = None) -> Select[Any]:
    """The transactions of the provider's own journal, newest first."""
    query = transactions(provider_id)
    return query.where(Entry.currency == currency) if currency else query


def _customers(provider_id: str) -> Select[Any]:
    """By currency: the customers' effect on the provider's balance, and the sum of their credit.

    Only customers whose net is above zero count as credit.
    """
    net = Account.prepaid + Account.surplus - Account.unbilled - Account.invoiced
    credit = case((net > 0, net), else_=0)
    return (
        select(Account.currency, *_halves(Account.on_wallet), *_halves(credit))
        .where(Account.provider_id == provider_id)
        .group_by(Account.currency)
    )


def _own(provider_id: str) -> Select[Any]:
    """By currency: the effect of the provider's own journal on its balance."""
    signed = case((Entry.debit == Code.WALLET, Entry.amount), else_=-Entry.amount)
    nothing = literal(0)
    return (
        select(Entry.currency, *_halves(signed), nothing, nothing)
        .where(Entry.organization_id == provider_id)
        .group_by(Entry.currency)
    )


def _halves(amount: Any) -> tuple[Any, Any]:
    """Sums of whole units and of millionths; a single sum could overflow 64 bits."""
    return func.sum(amount // UNIT), func.sum(amount % UNIT)


def _whole(sums: Any) -> int:
    return int(sums[0] or 0) * UNIT + int(sums[1] or 0)
