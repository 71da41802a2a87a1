"""The arithmetic of an account: its buckets, and every figure computed from them.

All amounts are in millionths of the account's currency.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from billing.values import MAX_AMOUNT, PREPAID, Code, Transfer

# The buckets, and the side of a transfer that increases them.
_INCREASED_BY = {
    Code.PREPAID: ("prepaid", "credit"),
    Code.SURPLUS: ("surplus", "credit"),
    Code.UNBILLED: ("unbilled", "debit"),
    Code.INVOICED: ("invoiced", "debit"),
    Code.HELD: ("held", "credit"),
}


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """``prepaid``: the wallet; below zero while it uses the credit limit.

    ``surplus``: overpaid by a postpaid customer. ``unbilled``: charged but not invoiced yet.
    ``invoiced``: outstanding on open invoices. ``held``: reserved. ``unbilled`` and ``invoiced``
    are debts counted positively.
    """

    prepaid: int = 0
    surplus: int = 0
    unbilled: int = 0
    invoiced: int = 0
    held: int = 0

    def after(self, transfer: Transfer) -> "Buckets":
        """The buckets once the transfer is posted.

        Transfers between the provider's own accounts change none.
        """
        changed = {}
        for side, code in (("debit", transfer.debit), ("credit", transfer.credit)):
            if code not in _INCREASED_BY:
                continue
            name, increasing_side = _INCREASED_BY[code]
            change = transfer.amount if side == increasing_side else -transfer.amount
            changed[name] = getattr(self, name) + change
        return replace(self, **changed)

    @property
    def net(self) -> int:
        """The customer's money less its debts; reservations do not count."""
        return self.prepaid + self.surplus - self.unbilled - self.invoiced


class Blocker(NamedTuple):
    """A bucket that keeps the account from being closed, and its amount (above zero)."""

    code: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of an account at one instant; ``limit`` is the credit limit then in force."""

    payment_mode: str
    limit: int
    buckets: Buckets

    @property
    def is_prepaid(self) -> bool:
        """Whether charges are taken from the wallet, not put on the next invoice."""
        return self.payment_mode == PREPAID

    @property
    def expecting_invoice(self) -> int:
        """Charged but not yet invoiced; owed, so never above zero. Zero if prepaid."""
        return 0 if self.is_prepaid else -self.buckets.unbilled

    @property
    def amount_due(self) -> int:
        """Below zero: unpaid invoices. Above zero: overpaid. Zero if prepaid."""
        return 0 if self.is_prepaid else self.buckets.surplus - self.buckets.invoiced

    @property
    def current_balance(self) -> int:
        """Prepaid: wallet - reserved. Postpaid: expecting invoice + amount due."""
        if self.is_prepaid:
            return self.buckets.prepaid - self.buckets.held
        return self.expecting_invoice + self.amount_due

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
        if self.is_prepaid:
            return self.balance + self.limit
        return self.limit + max(0, self.amount_due) + self.expecting_invoice - self.buckets.held

    @property
    def limit_used(self) -> int:
        """The part of the limit in use: max(0, limit - usable)."""
        return max(0, self.limit - self.usable)

    @property
    def withdrawable(self) -> int:
        """What may be paid out. Prepaid: wallet - reserved. Postpaid: the surplus."""
        return max(0, self.balance) if self.is_prepaid else max(0, self.buckets.surplus)

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
        buckets = self.buckets
        figures = (
            buckets.prepaid,
            buckets.surplus,
            buckets.unbilled,
            buckets.invoiced,
            buckets.held,
            buckets.net,
            self.usable,
            self.usable + buckets.held,
            self.balance,
            self.amount_due,
            self.limit,
        )
        return all(-MAX_AMOUNT <= figure <= MAX_AMOUNT for figure in figures)

    def blockers(self, in_flight: int = 0) -> list[Blocker]:
        """Every bucket that keeps the account from being closed; a limit counts as no credit.

        ``in_flight``: payments that may still arrive.
        """
        buckets = self.buckets
        wallet = self.balance if self.is_prepaid else buckets.prepaid
        candidates = (
            Blocker("credits_left", wallet),
            Blocker("amount_due", buckets.invoiced - min(0, wallet)),
            Blocker("unbilled_amount", buckets.unbilled),
            Blocker("overpaid", buckets.surplus),
            Blocker("credits_reserved", buckets.held),
            Blocker("payment_in_flight", in_flight),
        )
        return [blocker for blocker in candidates if blocker.amount > 0]
