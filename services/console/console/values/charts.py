"""The geometry of charts, in percent of the picture from its upper left; templates draw them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

DAYS = 30
AHEAD = 14
Point = tuple[float, float]


class _Movement(NamedTuple):
    day: date
    amount: Decimal
    change: Decimal


class _Forecast(NamedTuple):
    """``floor``: the balance at which credits run out; None if nothing is spent."""

    days: int
    balance: Decimal
    floor: Decimal | None


@dataclass(frozen=True)
class Day:
    """Amounts received and spent (negative) on a day, and the balance at its end."""

    day: date
    received: Decimal
    spent: Decimal
    balance: Decimal


@dataclass(frozen=True)
class Burn:
    """The course of a balance. ``days``: oldest first; ``line``, ``ahead``: SVG points so far and
    projected; ``rows``: heights of the grid lines with their amounts; ``now``: the position of
    today; ``floor``: the height at which credits run out; ``empties``: the day on which they do,
    None if nothing is spent; ``zero``: the height of zero; ``first``, ``last``: the days at the
    edges; ``cut``: whether there are more transactions than the ``count`` that are included."""

    days: Sequence[Day]
    line: str
    ahead: str
    rows: Sequence[tuple[float, str]]
    now: float
    floor: float | None
    empties: date | None
    zero: float
    first: date
    last: date
    cut: bool
    count: int


def burn(
    account: Mapping[str, Any], transactions: Mapping[str, Any], zone: str, now: datetime
) -> Burn | None:
    """The last 30 days of an account, from its transactions, newest first. None if it has no
    transactions."""
    movements = _movements(transactions, ZoneInfo(zone))
    if not movements:
        return None
    today = now.astimezone(ZoneInfo(zone)).date()
    first = today - timedelta(days=DAYS - 1)
    oldest = min(movement.day for movement in movements)
    cut = transactions["has_more"] and oldest >= first
    days = _days(movements, Decimal(account["balance"]), oldest if cut else first, today)
    forecast = _forecast(account, days[-1].balance)
    balances = [day.balance for day in days]
    low, high, step = _scale([*balances, forecast.balance, forecast.floor or Decimal(0)])
    width = DAYS - 1 + forecast.days

    def at(day: date, amount: Decimal) -> Point:
        return (day - first).days / width * 100, _height(amount, low, high)

    last = today + timedelta(days=forecast.days)
    ahead = [at(today, days[-1].balance), at(last, forecast.balance)]
    left = account["days_to_empty"]
    return Burn(
        days=days,
        line=_points([at(day.day, day.balance) for day in days]),
        ahead=_points(ahead) if left else "",
        rows=_rows(low, high, step),
        now=at(today, low)[0],
        floor=None if forecast.floor is None else _height(forecast.floor, low, high),
        empties=None if left is None else today + timedelta(days=left),
        zero=_height(Decimal(0), low, high),
        first=first,
        last=last,
        cut=cut,
        count=len(movements),
    )


def _forecast(account: Mapping[str, Any], balance: Decimal) -> _Forecast:
    """The balance after up to 14 days at the current pace. Nothing is spent if ``days_to_empty`` is
    None."""
    left = account["days_to_empty"]
    if left is None:
        return _Forecast(AHEAD, balance, None)
    usable = Decimal(account["usable_credits"])
    floor = Decimal(account["balance"]) - usable
    days = min(left, AHEAD)
    return _Forecast(days, balance - usable * days / left if left else balance, floor)


def _rows(low: Decimal, high: Decimal, step: Decimal) -> list[tuple[float, str]]:
    amounts = [low + step * n for n in range(int((high - low) / step) + 1)]
    return [(_height(amount, low, high), _shown(amount)) for amount in amounts]


def _movements(transactions: Mapping[str, Any], zone: ZoneInfo) -> list[_Movement]:
    """Newest first. Transactions may be reported late, so ``balance_after`` is not in the order of
    days, and a reservation changes the balance without an amount. So each counts by the difference
    it made, on the day it happened."""
    rows = transactions["data"]
    befores = [Decimal(row["balance_after"]) for row in rows[1:]]
    if rows:
        first = Decimal(rows[-1]["balance_after"]) - Decimal(rows[-1]["amount"])
        befores.append(first if transactions["has_more"] else Decimal(0))
    return [
        _Movement(
            datetime.fromisoformat(row["occurred_at"]).astimezone(zone).date(),
            Decimal(row["amount"]),
            Decimal(row["balance_after"]) - before,
        )
        for row, before in zip(rows, befores, strict=True)
    ]


def _days(movements: Sequence[_Movement], balance: Decimal, first: date, today: date) -> list[Day]:
    """Each day, counted back from the current balance."""
    days = []
    balance -= sum((movement.change for movement in movements if movement.day > today), Decimal(0))
    for n in range((today - first).days + 1):
        day = today - timedelta(days=n)
        of_day = [movement for movement in movements if movement.day == day]
        days.append(
            Day(
                day,
                sum((movement.amount for movement in of_day if movement.amount > 0), Decimal(0)),
                sum((movement.amount for movement in of_day if movement.amount < 0), Decimal(0)),
                balance,
            )
        )
        balance -= sum((movement.change for movement in of_day), Decimal(0))
    return days[::-1]


def _scale(amounts: Sequence[Decimal]) -> tuple[Decimal, Decimal, Decimal]:
    """Round limits around the amounts and zero, and a step that gives three to six lines."""
    low, high = min(*amounts, Decimal(0)), max(*amounts, Decimal(0))
    rough = (high - low) / 4 or Decimal(1)
    ten = Decimal(10) ** rough.adjusted()
    step = next(ten * n for n in (1, 2, 5, 10) if ten * n >= rough)
    return _below(low, step), -_below(-high, step) if low < high else step, step


def _below(amount: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of the step that is not above the amount."""
    return (amount // step - (amount % step < 0)) * step


def _shown(amount: Decimal) -> str:
    return f"{amount.normalize() + 0:f}"


def _height(amount: Decimal, low: Decimal, high: Decimal) -> float:
    return round(float((high - amount) / (high - low) * 100), 2)


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
