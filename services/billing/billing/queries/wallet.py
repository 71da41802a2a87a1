"""What can be known about a provider's own money."""

from typing import Any, NamedTuple

from sqlalchemy import Select, case, func, literal, select, union_all
from sqlalchemy.orm import Session

from billing.models import Account, Entry, Provider
from billing.values import UNIT, Code


class Purse(NamedTuple):
    """A provider's money in one currency: its ``balance`` at the platform, and what of it is its
    customers'."""

    currency: str
    balance: int
    customers: int

    @property
    def usable(self) -> int:
        """balance - customers' positive money."""
        return self.balance - self.customers


def purses(session: Session, provider_id: str) -> list[Purse]:
    """The provider's money, by currency; its own currency first, exact at this instant."""
    own = session.execute(
        select(Provider.currency).where(Provider.id == provider_id)
    ).scalar_one_or_none()
    found = {own: (0, 0)} if own else {}
    for currency, *sums in session.execute(union_all(_customers(provider_id), _own(provider_id))):
        balance, customers = found.get(currency, (0, 0))
        found[currency] = balance + _whole(sums[:2]), customers + _whole(sums[2:])
    return [Purse(c, *found[c]) for c in sorted(found, key=lambda c: (c != own, c))]


def purse(session: Session, provider_id: str, currency: str) -> Purse:
    """The provider's money in one currency."""
    found = {purse.currency: purse for purse in purses(session, provider_id)}
    return found.get(currency, Purse(currency, 0, 0))


def _customers(provider_id: str) -> Select[Any]:
    """By currency: what the customers' entries did to the provider's balance, and the sum of what
    each customer has, where that is above zero. In one statement with the provider's own, so that
    all is of the same instant."""
    net = Account.prepaid + Account.surplus - Account.unbilled - Account.invoiced
    theirs = case((net > 0, net), else_=0)
    return (
        select(Account.currency, *_halves(Account.on_wallet), *_halves(theirs))
        .where(Account.provider_id == provider_id)
        .group_by(Account.currency)
    )


def _own(provider_id: str) -> Select[Any]:
    """By currency: what the provider's own journal did to its balance; nothing to that of its
    customers."""
    signed = case((Entry.debit == Code.WALLET, Entry.amount), else_=-Entry.amount)
    nothing = literal(0)
    return (
        select(Entry.currency, *_halves(signed), nothing, nothing)
        .where(Entry.organization_id == provider_id)
        .group_by(Entry.currency)
    )


def _halves(amount: Any) -> tuple[Any, Any]:
    """The sums of units and of millionths, apart: together they could overflow 64 bits."""
    return func.sum(amount // UNIT), func.sum(amount % UNIT)


def _whole(sums: Any) -> int:
    return int(sums[0] or 0) * UNIT + int(sums[1] or 0)
