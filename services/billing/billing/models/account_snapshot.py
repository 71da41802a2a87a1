"""The numbers of an account that posting a batch reads and changes, outside the ORM."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from billing.values import (
    AUTO_TOP_UP_PERCENT,
    FROZEN,
    MAX_AMOUNT,
    MAX_STORED,
    OPEN,
    PREPAID,
    percent,
)

SNAPSHOT_COLUMNS = (
    "currency",
    "payment_mode",
    "status",
    "credit_limit",
    "temporary_limit",
    "credit_limit_expires_at",
    "prepaid",
    "surplus",
    "unbilled",
    "invoiced",
    "held",
    "seq",
    "on_wallet",
    "auto_enabled",
    "auto_threshold",
    "last_top_up",
)


@dataclass(slots=True)
class AccountSnapshot:
    """What a charge reads and changes of an account, in millionths. Formulas as in ``Figures``.

    ``limit``: the credit limit in force. ``top_up_trigger``: the usable credits at which an
    automatic top-up is due, or None. ``seq``: the last journal row, including those of this batch.
    ``spent``: charged since it was read; usable credits have fallen by as much.
    """

    id: UUID
    provider_id: UUID
    currency: str
    payment_mode: str
    status: str
    limit: int
    prepaid: int
    surplus: int
    unbilled: int
    invoiced: int
    held: int
    seq: int
    on_wallet: int
    top_up_trigger: int | None
    spent: int = 0

    @classmethod
    def of(
        cls, organization_id: UUID, provider_id: UUID, row: Sequence[Any], now: datetime
    ) -> "AccountSnapshot":
        """From an account's row with the columns ``SNAPSHOT_COLUMNS``."""
        (
            currency,
            payment_mode,
            status,
            limit,
            temporary_limit,
            ends,
            prepaid,
            surplus,
            unbilled,
            invoiced,
            held,
            seq,
            on_wallet,
            auto_enabled,
            top_up_trigger,
            last_top_up,
        ) = row
        if temporary_limit is not None and ends is not None and now < ends:
            limit = temporary_limit
        if not auto_enabled:
            top_up_trigger = None
        elif top_up_trigger is None and last_top_up is not None:
            top_up_trigger = percent(last_top_up, AUTO_TOP_UP_PERCENT)
        return cls(
            organization_id,
            provider_id,
            currency,
            payment_mode,
            status,
            limit,
            prepaid,
            surplus,
            unbilled,
            invoiced,
            held,
            seq,
            on_wallet,
            top_up_trigger,
        )

    @property
    def balance(self) -> int:
        if self.payment_mode == PREPAID:
            return self.prepaid - self.held
        return self.surplus - self.invoiced - self.unbilled

    @property
    def usable(self) -> int:
        """What may still be spent."""
        if self.payment_mode == PREPAID:
            return self.prepaid - self.held + self.limit
        return self.limit + max(0, self.surplus - self.invoiced) - self.unbilled - self.held

    def refusal(self, amount: int, cost: int, *, always: bool) -> str | None:
        """The code of the reason why a charge cannot be posted, or None.

        ``always``: the credit limit does not apply.
        """
        if self.status != OPEN:
            return "account_frozen" if self.status == FROZEN else "account_closed"
        usable = self.usable
        if not always and amount > usable:
            return "insufficient_credits"
        net = self.prepaid + self.surplus - self.unbilled - self.invoiced
        lowest = min(net, usable, self.balance, -self.unbilled) - amount
        if lowest < -MAX_AMOUNT or abs(self.on_wallet - cost) > MAX_STORED:
            return "amount_too_large"
        return None

    def charge(self, amount: int, cost: int) -> None:
        """Take the amount from the account and the cost from the provider's balance."""
        if self.payment_mode == PREPAID:
            self.prepaid -= amount
        else:
            self.unbilled += amount
        self.spent += amount
        self.on_wallet -= cost
