"""What may be posted to an account: the one place that knows what may be spent.

Nothing here reads or writes anything: a command and a snapshot of the account go in, and
what is to be posted comes out, or why it is refused.
"""

from collections.abc import Callable, Mapping
from copy import copy
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from chassis.runtime import clock

from billing.models.figures import Figures
from billing.models.reservation import Held
from billing.models.snapshot import Snapshot
from billing.values import (
    FROZEN,
    MAX_AMOUNT,
    MAX_STORED,
    OPEN,
    USAGE,
    Code,
    Transfer,
    format_money,
)

INSUFFICIENT_CREDITS = "insufficient_credits"
NOT_WITHDRAWABLE = "not_withdrawable"


class Charge(NamedTuple):
    """A charge. ``source``: the id of the usage record. ``at``: when it happened, None for now.
    ``always``: it has already happened, so the credit limit does not apply."""

    amount: int
    description: str
    cost: int = 0
    source: str | None = None
    at: datetime | None = None
    always: bool = False


class Reserve(NamedTuple):
    """Hold an amount for ``expires_in`` seconds."""

    reservation_id: str
    amount: int
    description: str
    expires_in: int


class Capture(NamedTuple):
    """Charge an amount that is held, by default all of it; ``final`` releases the rest."""

    reservation_id: str
    amount: int | None = None
    final: bool = True
    cost: int = 0


class Release(NamedTuple):
    """Release all that is still held."""

    reservation_id: str


class Expire(NamedTuple):
    """Release what is still held by a reservation that has expired."""

    reservation_id: str


Command = Charge | Reserve | Capture | Release | Expire


class Posting(NamedTuple):
    """A transaction to be posted. ``occurred_at`` None: now. ``held``: the reservation after it."""

    kind: str
    transfers: tuple[Transfer, ...]
    description: str
    source: str | None = None
    occurred_at: datetime | None = None
    held: Held | None = None


class Refusal(NamedTuple):
    """Why a command is refused. ``details``: the numbers that say what would help.

    ``missing``: the credits that are missing, in ``currency``, while ``held`` are reserved.
    """

    code: str
    details: Mapping[str, Any] = MappingProxyType({})
    missing: int = 0
    held: int = 0
    currency: str = ""


def decide(snapshot: Snapshot, command: Command, now: datetime) -> Posting | Refusal:
    """What the command does to the account as it is now."""
    return _DECISIONS[type(command)](snapshot, command, now)


def insufficient(figures: Figures, amount: int, currency: str) -> Refusal | None:
    """The refusal of a charge that the usable credits do not cover, with what would cover it."""
    missing = amount - figures.usable
    if missing <= 0:
        return None
    details = {
        "shortfall": format_money(missing, currency),
        "usable": format_money(figures.usable, currency),
        "cure": {
            "top_up": format_money(missing + figures.uncovered_debt, currency),
            "credit_limit": format_money(figures.limit + missing, currency),
        },
    }
    return Refusal(INSUFFICIENT_CREDITS, details, missing, figures.held, currency)


def not_withdrawable(figures: Figures, amount: int, currency: str) -> Refusal | None:
    """The refusal of a withdrawal that is higher than what can be paid out."""
    withdrawable = figures.withdrawable
    if amount <= withdrawable:
        return None
    details: dict[str, Any] = {
        "shortfall": format_money(amount - withdrawable, currency),
        "withdrawable": format_money(withdrawable, currency),
    }
    if figures.is_prepaid:
        missing = amount - figures.balance
        return Refusal(NOT_WITHDRAWABLE, details, missing, figures.held, currency)
    # No reservation reduces a surplus.
    return Refusal(NOT_WITHDRAWABLE, {**details, "reservations": [], "freed_at": None})


def _charge(snapshot: Snapshot, command: Charge, _now: datetime) -> Posting | Refusal:
    if snapshot.status != OPEN:
        return _not_open(snapshot)
    if not command.always:
        refusal = insufficient(snapshot, command.amount, snapshot.currency)
        if refusal:
            return refusal
    transfers = _spend(snapshot, command.amount, command.cost)
    posting = Posting(USAGE, transfers, command.description, command.source, command.at)
    return within_range(snapshot, posting)


def _reserve(snapshot: Snapshot, command: Reserve, now: datetime) -> Posting | Refusal:
    if snapshot.status != OPEN:
        return _not_open(snapshot)
    refusal = insufficient(snapshot, command.amount, snapshot.currency)
    if refusal:
        return refusal
    held = Held(
        snapshot.id,
        command.reservation_id,
        command.amount,
        captured=0,
        released=0,
        status=OPEN,
        description=command.description,
        expires_at=now + timedelta(seconds=command.expires_in),
        created_at=now,
        settled_at=None,
    )
    transfers = (Transfer(Code.SET_ASIDE, Code.HELD, command.amount),)
    return within_range(snapshot, Posting("reservation", transfers, command.description, held=held))


def _capture(snapshot: Snapshot, command: Capture, now: datetime) -> Posting | Refusal:
    """The first row releases both what is captured and what is freed."""
    held = _open_reservation(snapshot, command.reservation_id, now)
    if isinstance(held, Refusal):
        return held
    amount = held.left if command.amount is None else command.amount
    if amount > held.left:
        left = format_money(held.left, snapshot.currency)
        return Refusal("capture_exceeds_reservation", {"left": left})
    freed = held.left if command.final else amount
    transfers = (
        Transfer(Code.HELD, Code.SET_ASIDE, freed),
        *_spend(snapshot, amount, command.cost),
    )
    after = held.less(captured=amount, released=freed - amount)
    if not after.left:
        after = after.settled("captured", now)
    return within_range(snapshot, Posting("capture", transfers, held.description, held=after))


def _release(snapshot: Snapshot, command: Release, now: datetime) -> Posting | Refusal:
    held = _open_reservation(snapshot, command.reservation_id, now)
    if isinstance(held, Refusal):
        return held
    return _free(held, "release", "released", now)


def _expire(snapshot: Snapshot, command: Expire, _now: datetime) -> Posting | Refusal:
    held = snapshot.reservations[command.reservation_id]
    return _free(held, "expiry", "expired", held.expires_at)


_DECISIONS: Mapping[type, Callable[[Snapshot, Any, datetime], Posting | Refusal]] = {
    Charge: _charge,
    Reserve: _reserve,
    Capture: _capture,
    Release: _release,
    Expire: _expire,
}


def _not_open(snapshot: Snapshot) -> Refusal:
    return Refusal("account_frozen" if snapshot.status == FROZEN else "account_closed")


def _open_reservation(snapshot: Snapshot, reservation_id: str, now: datetime) -> Held | Refusal:
    """The reservation, or why nothing can be captured or released. A frozen account can still be
    charged for what is held."""
    held = snapshot.reservations.get(reservation_id)
    if held is None:
        return Refusal("not_found")
    if snapshot.status not in (OPEN, FROZEN):
        return _not_open(snapshot)
    if held.status in ("captured", "released"):
        return Refusal("reservation_settled")
    if held.status == "expired" or now >= held.expires_at:
        return Refusal("reservation_expired", {"expired_at": clock.stamp(held.expires_at)})
    return held


def _free(held: Held, kind: str, status: str, at: datetime) -> Posting:
    """Release all that is left. It always fits: it was checked when it was held."""
    transfers = (Transfer(Code.HELD, Code.SET_ASIDE, held.left),)
    after = held.less(captured=0, released=held.left).settled(status, at)
    return Posting(kind, transfers, held.description, held=after)


def _spend(snapshot: Snapshot, amount: int, cost: int) -> tuple[Transfer, ...]:
    """The price to the customer and, if there is one, the cost to the provider."""
    price = Transfer(snapshot.charge_bucket, Code.REVENUE, amount)
    return (price, Transfer(Code.COST, Code.WALLET, cost)) if cost else (price,)


def within_range(snapshot: Snapshot, posting: Posting) -> Posting | Refusal:
    """The posting, unless a figure would have more than twelve digits before the decimal point, or
    the provider's balance would change by more than can be stored."""
    largest = snapshot.largest
    for transfer in posting.transfers:
        largest += transfer.amount
    if largest <= MAX_AMOUNT:
        return posting
    after = copy(snapshot)
    for transfer in posting.transfers:
        after.post(transfer)
    if after.is_in_range and abs(after.on_wallet) <= MAX_STORED:
        return posting
    return Refusal("amount_too_large")
