"""The oracle's data: wallets, reservations, invoices, payments and transactions.

Amounts are in millionths. Nothing is imported from the code under test.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

MAX_AMOUNT = 10**18 - 1
PLACES = {"SGD": 2, "JPY": 0}
ZONE = timezone(timedelta(hours=8))  # Singapore has no daylight saving time
EDITS = 5
NOW = "now"


def written(amount: int, currency: str) -> str:
    """An amount as the API writes it."""
    whole, part = divmod(abs(amount), 10**6)
    digits = f"{part:06d}"
    while len(digits) > PLACES[currency] and digits.endswith("0"):
        digits = digits[:-1]
    return ("-" if amount < 0 else "") + str(whole) + (f".{digits}" if digits else "")


def half_even(amount: int, by: int) -> int:
    whole, rest = amount // by, amount % by
    if 2 * rest == by:
        return whole + whole % 2
    return whole + (2 * rest > by)


def next_month(moment: datetime) -> datetime:
    local = moment.astimezone(ZONE)
    first = date(local.year + local.month // 12, local.month % 12 + 1, 1)
    return datetime.combine(first, time(), ZONE).astimezone(UTC)


def this_month(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(ZONE).date().replace(day=1), time(), ZONE).astimezone(
        UTC
    )


@dataclass
class Held:
    """A reservation."""

    id: str
    amount: int
    expires_at: datetime
    captured: int = 0
    released: int = 0
    status: str = "open"

    @property
    def left(self) -> int:
        return self.amount - self.captured - self.released


@dataclass(eq=False)
class Source:
    """Money that came in as surplus, with the transaction ``number``. ``left``: what of it still
    is; ``moved``: what became prepaid."""

    kind: str
    number: int
    amount: int = 0
    left: int = 0
    moved: int = 0
    is_reversed: bool = False


@dataclass
class Bill:
    """An invoice. ``shares``: what each source has paid, the last one last."""

    id: str
    total: int
    credited: int = 0
    shares: dict[Source, int] = field(default_factory=dict)
    void: bool = False

    @property
    def paid(self) -> int:
        return sum(self.shares.values())

    @property
    def open(self) -> int:
        return 0 if self.void else self.total - self.paid - self.credited

    @property
    def status(self) -> str:
        return "void" if self.void else "awaiting_payment" if self.open else "paid"


# A change of a bucket, and the bill or the source that it concerns. ``pay``: paying a bill from the
# surplus, or taking that back.
Effect = tuple[str, int, Any]
OWN = "own"


@dataclass
class Payment:
    """A payment for invoices."""

    id: str
    amount: int
    source: Source
    edits: int = 0
    status: str = "received"


@dataclass
class Done:
    """A transaction.

    ``effects``: its changes as (bucket, change, bill). ``bill``: the invoice of a charge that can
    be invoiced (``billable``), since ``at``.
    """

    id: str
    kind: str
    amount: int
    at: datetime
    cost: int = 0
    method: str = ""
    effects: list[Effect] = field(default_factory=list)
    source: Source | None = None
    number: int = 0
    taken: list[tuple[Source, int]] = field(default_factory=list)
    billable: bool = False
    bill: Bill | None = None
    undone: int = 0
    reversed: bool = False
    payment: Payment | None = None


@dataclass
class Wallet:
    """An account of a customer."""

    id: str
    currency: str
    mode: str
    limit: int
    month_ends: datetime | None
    status: str = "open"
    temporary: int | None = None
    ends: datetime | None = None
    prepaid: int = 0
    surplus: int = 0
    unbilled: int = 0
    invoiced: int = 0
    held: int = 0
    on_wallet: int = 0
    last_top_up: int | None = None
    auto: dict[str, Any] = field(
        default_factory=lambda: {"enabled": False, "threshold": None, "amount": None}
    )
    auto_on: date | None = None
    order_due: datetime | None = None
    invoiced_at: datetime | None = None
    reservations: list[Held] = field(default_factory=list)
    bills: list[Bill] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    past: list[tuple[datetime, int]] = field(default_factory=list)

    def limit_at(self, now: datetime) -> int:
        return (
            self.temporary
            if self.temporary is not None and self.ends and now < self.ends
            else self.limit
        )

    @property
    def due(self) -> int:
        return self.surplus - self.invoiced if self.mode == "postpaid" else 0

    @property
    def balance(self) -> int:
        return self.prepaid - self.held if self.mode == "prepaid" else self.due - self.unbilled

    def usable(self, now: datetime) -> int:
        if self.mode == "prepaid":
            return self.limit_at(now) + self.prepaid - self.held
        return self.limit_at(now) + max(0, self.due) - self.unbilled - self.held

    @property
    def withdrawable(self) -> int:
        return max(0, self.balance) if self.mode == "prepaid" else self.surplus

    @property
    def net(self) -> int:
        return self.prepaid + self.surplus - self.unbilled - self.invoiced

    @property
    def charge_bucket(self) -> str:
        return "unbilled" if self.mode == "postpaid" else "prepaid"

    @property
    def deposit_bucket(self) -> str:
        return "surplus" if self.mode == "postpaid" else "prepaid"

    def fits(self, now: datetime) -> bool:
        figures = (
            self.prepaid,
            self.surplus,
            self.unbilled,
            self.invoiced,
            self.held,
            self.net,
            self.balance,
            self.usable(now),
            self.usable(now) + self.held,
            self.due,
            self.limit_at(now),
        )
        return all(abs(figure) <= MAX_AMOUNT for figure in figures)

    def shown(self, now: datetime) -> dict[str, Any]:
        """The figures as the API shows them."""
        prepaid = self.mode == "prepaid"
        amounts = {
            "usable_credits": self.usable(now),
            "balance": self.balance,
            "credit_limit": self.limit_at(now),
            "reserved_credits": self.held,
            "expecting_invoice": 0 if prepaid else -self.unbilled,
            "amount_due": self.due,
            "current_balance": self.balance,
        }
        return {
            "payment_mode": self.mode,
            "status": self.status,
            **{name: written(amount, self.currency) for name, amount in amounts.items()},
        }
