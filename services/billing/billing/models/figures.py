"""The arithmetic of an account: its buckets, and every figure people see, computed from them.

Formulas: domain.md section 12. Everything is in millionths of the account's currency.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from billing.values import MAX_AMOUNT, PREPAID, Code, Transfer

# The buckets, and on which side a transfer makes them grow.
_GROWS = {
    Code.PREPAID: ("prepaid", "credit"),
    Code.SURPLUS: ("surplus", "credit"),
    Code.UNBILLED: ("unbilled", "debit"),
    Code.INVOICED: ("invoiced", "debit"),
    Code.HELD: ("held", "credit"),
}


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """``prepaid``: the wallet, below zero when it eats the limit; ``surplus``: what a postpaid customer has paid too
    much; ``unbilled``: charged and on no invoice yet; ``invoiced``: what open invoices still ask for; ``held``:
    reserved. ``unbilled`` and ``invoiced`` are debts and counted positively."""

    prepaid: int = 0
    surplus: int = 0
    unbilled: int = 0
    invoiced: int = 0
    held: int = 0

    def after(self, transfer: Transfer) -> "Buckets":
        """The buckets once the transfer is posted; transfers between the provider's accounts change
        none."""
        changed = {}
        for side, code in (("debit", transfer.debit), ("credit", transfer.credit)):
            if code in _GROWS:
                name, grows = _GROWS[code]
                changed[name] = getattr(self, name) + (
                    transfer.amount if side == grows else -transfer.amount
                )
        return replace(self, **changed)

    @property
    def net(self) -> int:
        """What the customer has in the end: money less debts, reservations not counted."""
        return self.prepaid + self.surplus - self.unbilled - self.invoiced


class Blocker(NamedTuple):
    """A bucket that is not empty, and by how much (above zero)."""

    code: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of an account at one instant: its buckets under its payment mode and the limit
    then in force."""

    payment_mode: str
    limit: int
    buckets: Buckets

    @property
    def is_prepaid(self) -> bool:
        """Whether the wallet pays, rather than the next invoice."""
        return self.payment_mode == PREPAID

    @property
    def expecting_invoice(self) -> int:
        """Charged and not yet on an invoice; owed, so never above zero. Prepaid: nothing."""
        return 0 if self.is_prepaid else -self.buckets.unbilled

    @property
    def amount_due(self) -> int:
        """Below zero: invoices not paid. Above zero: overpaid. Prepaid: nothing."""
        return 0 if self.is_prepaid else self.buckets.surplus - self.buckets.invoiced

    @property
    def current_balance(self) -> int:
        """Prepaid: wallet - reserved. Postpaid: expecting invoice + amount due."""
        if self.is_prepaid:
            return self.buckets.prepaid - self.buckets.held
        return self.expecting_invoice + self.amount_due

    @property
    def balance(self) -> int:
        """The current balance, under the name it has for prepaid accounts."""
        return self.current_balance

    @property
    def usable(self) -> int:
        """What may still be spent. Prepaid: wallet - reserved + limit. Postpaid: limit + max(0,
        due) + expecting invoice - reserved; an unpaid invoice does not lower it."""
        if self.is_prepaid:
            return self.balance + self.limit
        return self.limit + max(0, self.amount_due) + self.expecting_invoice - self.buckets.held

    @property
    def limit_used(self) -> int:
        """How much of the limit is eaten: max(0, limit - usable)."""
        return max(0, self.limit - self.usable)

    @property
    def withdrawable(self) -> int:
        """What may be paid out. Prepaid: the wallet without what is reserved. Postpaid: the
        surplus."""
        return max(0, self.balance if self.is_prepaid else self.buckets.surplus)

    @property
    def uncovered_debt(self) -> int:
        """What must be topped up before any top-up makes more usable: postpaid, the debt no surplus
        covers."""
        return max(0, -self.amount_due)

    @property
    def is_in_range(self) -> bool:
        """Whether every figure has at most twelve digits before the point, and will once nothing is
        held any more: what is held can always be let go."""
        buckets = self.buckets
        shown = (
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
        return all(-MAX_AMOUNT <= figure <= MAX_AMOUNT for figure in shown)

    def blockers(self, in_flight: int = 0) -> list[Blocker]:
        """What keeps the account from being closed, each bucket by itself; a limit is no credit.

        ``in_flight``: payments that may still arrive."""
        buckets = self.buckets
        wallet = self.balance if self.is_prepaid else buckets.prepaid
        found = (
            Blocker("credits_left", wallet),
            Blocker("amount_due", buckets.invoiced - min(0, wallet)),
            Blocker("unbilled_amount", buckets.unbilled),
            Blocker("overpaid", buckets.surplus),
            Blocker("credits_reserved", buckets.held),
            Blocker("payment_in_flight", in_flight),
        )
        return [blocker for blocker in found if blocker.amount > 0]
