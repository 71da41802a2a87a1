"""The arithmetic of an account: its buckets, and every figure computed from them.

All amounts are in millionths of the account's currency.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from billing.values import MAX_AMOUNT, POSTPAID, PREPAID, Code, Transfer

# Prepaid, surplus, unbilled, invoiced, held.
BucketValues = tuple[int, int, int, int, int]
# The buckets, and what a credit of one unit does to them.
EFFECT_OF_CREDIT = {
    Code.PREPAID: ("prepaid", 1),
    Code.SURPLUS: ("surplus", 1),
    Code.UNBILLED: ("unbilled", -1),
    Code.INVOICED: ("invoiced", -1),
    Code.HELD: ("held", 1),
}


def charge_bucket(payment_mode: str) -> Code:
    """The bucket that charges are taken from."""
    return Code.UNBILLED if payment_mode == POSTPAID else Code.PREPAID


def deposit_bucket(payment_mode: str) -> Code:
    """The bucket that money is paid into and withdrawn from."""
    return Code.SURPLUS if payment_mode == POSTPAID else Code.PREPAID


@dataclass(kw_only=True, slots=True)
class Buckets:
    """``prepaid``: the wallet; below zero while it uses the credit limit.

    ``surplus``: overpaid by a postpaid customer. ``unbilled``: charged but not invoiced yet.
    ``invoiced``: outstanding on open invoices. ``held``: reserved. ``unbilled`` and ``invoiced``
    are debts counted positively.
    """

    effect_of_credit: ClassVar[Mapping[Code, tuple[str, int]]] = EFFECT_OF_CREDIT

    prepaid: int = 0
    surplus: int = 0
    unbilled: int = 0
    invoiced: int = 0
    held: int = 0

    def post(self, transfer: Transfer) -> BucketValues:
        """Move the amount, and return the buckets after it. Transfers between the provider's own
        accounts change no bucket."""
        debit, credit, amount = transfer.debit, transfer.credit, transfer.amount
        effects = self.effect_of_credit
        if debit in effects:
            name, sign = effects[debit]
            setattr(self, name, getattr(self, name) - sign * amount)
        if credit in effects:
            name, sign = effects[credit]
            setattr(self, name, getattr(self, name) + sign * amount)
        return self.prepaid, self.surplus, self.unbilled, self.invoiced, self.held

    def after(self, transfer: Transfer) -> "Buckets":
        """The buckets once the transfer is posted."""
        after = copy(self)
        after.post(transfer)
        return after

    @property
    def net(self) -> int:
        """The customer's money less its debts; reservations do not count."""
        return self.prepaid + self.surplus - self.unbilled - self.invoiced


class Blocker(NamedTuple):
    """A bucket that keeps the account from being closed, and its amount (above zero)."""

    code: str
    amount: int


@dataclass(kw_only=True, slots=True)
class Figures(Buckets):
    """The figures of an account at one instant; ``limit`` is the credit limit then in force."""

    payment_mode: str
    limit: int

    @property
    def is_prepaid(self) -> bool:
        """Whether charges are taken from the wallet, not put on the next invoice."""
        return self.payment_mode == PREPAID

    @property
    def charge_bucket(self) -> Code:
        """The bucket that charges are taken from."""
        return charge_bucket(self.payment_mode)

    @property
    def expecting_invoice(self) -> int:
        """Charged but not yet invoiced; owed, so never above zero. Zero if prepaid."""
        return 0 if self.is_prepaid else -self.unbilled

    @property
    def amount_due(self) -> int:
        """Below zero: unpaid invoices. Above zero: overpaid. Zero if prepaid."""
        return 0 if self.is_prepaid else self.surplus - self.invoiced

    @property
    def current_balance(self) -> int:
        """Prepaid: wallet - reserved. Postpaid: expecting invoice + amount due."""
        if self.payment_mode == PREPAID:
            return self.prepaid - self.held
        return self.surplus - self.invoiced - self.unbilled

    @property
    def balance(self) -> int:
        """The current balance, by the name it has for prepaid accounts."""
        return self.current_balance

    @property
    def usable(self) -> int:
        """What may still be spent.

        Prepaid: wallet - reserved + limit. Postpaid: limit + max(0, due) + expecting invoice -
        reserved; an unpaid invoice does not lower it.
        """
        if self.payment_mode == PREPAID:
            return self.prepaid - self.held + self.limit
        return self.limit + max(0, self.surplus - self.invoiced) - self.unbilled - self.held

    @property
    def limit_used(self) -> int:
        """The part of the limit in use: max(0, limit - usable)."""
        return max(0, self.limit - self.usable)

    @property
    def withdrawable(self) -> int:
        """What may be paid out. Prepaid: wallet - reserved. Postpaid: the surplus."""
        return max(0, self.balance) if self.is_prepaid else max(0, self.surplus)

    @property
    def debt(self) -> int:
        """What the customer owes once a surplus is counted; never below zero."""
        return max(0, -self.net)

    @property
    def uncovered_debt(self) -> int:
        """Postpaid: the invoiced debt that no surplus covers.

        A top-up pays this first; only the rest becomes usable.
        """
        return max(0, -self.amount_due)

    @property
    def is_in_range(self) -> bool:
        """Whether every figure has at most twelve digits before the decimal point.

        It must also hold once nothing is reserved: a reservation can always be released.
        """
        figures = (
            self.prepaid,
            self.surplus,
            self.unbilled,
            self.invoiced,
            self.held,
            self.net,
            self.usable,
            self.usable + self.held,
            self.balance,
            self.amount_due,
            self.limit,
        )
        return all(-MAX_AMOUNT <= figure <= MAX_AMOUNT for figure in figures)

    def blockers(self, in_flight: int = 0) -> list[Blocker]:
        """Every bucket that keeps the account from being closed; a limit counts as no credit.

        ``in_flight``: payments that may still arrive.
        """
        wallet = self.balance if self.is_prepaid else self.prepaid
        candidates = (
            Blocker("credits_left", wallet),
            Blocker("amount_due", self.invoiced - min(0, wallet)),
            Blocker("unbilled_amount", self.unbilled),
            Blocker("overpaid", self.surplus),
            Blocker("credits_reserved", self.held),
            Blocker("payment_in_flight", in_flight),
        )
        return [blocker for blocker in candidates if blocker.amount > 0]
