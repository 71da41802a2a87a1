"""What a posting reads and changes of an account, without the ORM."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from billing.models.account import limit_in_force, top_up_threshold
from billing.models.figures import EFFECT_OF_CREDIT, Figures
from billing.models.reservation import Held
from billing.values import Code

# The columns that postings change, and all that are read.
CHANGED = ("prepaid", "surplus", "unbilled", "invoiced", "held", "seq", "on_wallet")
READ = (
    "currency",
    "payment_mode",
    "status",
    "credit_limit",
    "temporary_limit",
    "credit_limit_expires_at",
    "auto_enabled",
    "auto_threshold",
    "last_top_up",
    *CHANGED,
)


@dataclass(kw_only=True, slots=True)
class Snapshot(Figures):
    """An account as it was read, with what has been posted to it since, in millionths.

    ``low_threshold``: the usable credits at which its provider's customers get an alert.
    ``top_up_trigger``: those at which an automatic top-up is due, or None. ``usable_before``: the
    most that they were since the account was read. ``seq``: the last row of its journal.
    ``on_wallet``: the total effect of its entries on the provider's balance. ``spent``: charged
    since it was read. ``reservations``: those that the commands name, by id. ``version``: of the
    row, if it is not locked.
    """

    effect_of_credit: ClassVar[Mapping[Code, tuple[str, int]]] = {
        **EFFECT_OF_CREDIT,
        Code.WALLET: ("on_wallet", -1),
    }

    id: UUID
    provider_id: UUID
    currency: str
    status: str
    seq: int
    on_wallet: int
    low_threshold: int
    top_up_trigger: int | None
    usable_before: int = 0
    spent: int = 0
    reservations: dict[str, Held] = field(default_factory=dict)
    version: str = ""

    @classmethod
    def of(
        cls,
        organization_id: UUID,
        provider_id: UUID,
        low_threshold: int,
        columns: Sequence[Any],
        now: datetime,
    ) -> "Snapshot":
        """From the columns ``READ`` of an account."""
        currency, payment_mode, status, credit_limit, temporary_limit, limit_ends, *more = columns
        auto_enabled, auto_threshold, last_top_up, *changed = more
        prepaid, surplus, unbilled, invoiced, held, seq, on_wallet = changed
        snapshot = cls(
            id=organization_id,
            provider_id=provider_id,
            currency=currency,
            payment_mode=payment_mode,
            status=status,
            limit=limit_in_force(credit_limit, temporary_limit, limit_ends, now),
            low_threshold=low_threshold,
            top_up_trigger=(
                top_up_threshold(auto_threshold, last_top_up) if auto_enabled else None
            ),
            prepaid=prepaid,
            surplus=surplus,
            unbilled=unbilled,
            invoiced=invoiced,
            held=held,
            seq=seq,
            on_wallet=on_wallet,
        )
        snapshot.usable_before = snapshot.usable
        return snapshot

    @property
    def largest(self) -> int:
        """An amount that no figure of the account exceeds, above or below zero."""
        # No other bucket is ever below zero, which the table of the accounts checks.
        buckets = abs(self.prepaid) + self.surplus + self.unbilled + self.invoiced + self.held
        return buckets + self.limit + abs(self.on_wallet)
