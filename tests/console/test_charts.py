"""The chart of an account balance."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from console.values import charts


def _moved(days_ago: int, amount: str, after: str) -> dict[str, str]:
    at = datetime(2026, 5, 20, 12, tzinfo=UTC) - timedelta(days=days_ago)
    return {"occurred_at": at.isoformat(), "amount": amount, "balance_after": after}


def _burn(transactions: list[dict[str, str]], *, more: bool = False, **account: Any) -> charts.Burn:
    now = datetime(2026, 5, 20, 13, tzinfo=UTC)
    at = {"balance": "50", "usable_credits": "50", "days_to_empty": None, **account}
    made = charts.burn(at, {"data": transactions, "has_more": more}, "Europe/Berlin", now)
    assert made is not None
    return made


def test_a_balance_is_drawn_by_the_day_of_each_transaction() -> None:
    # Newest first: a transaction of nine days ago was reported late.
    burn = _burn(
        [
            _moved(0, "-10", "50"),
            _moved(9, "-20", "60"),
            _moved(3, "0", "80"),
            _moved(40, "100", "100"),
        ]
    )

    by_day = {one.day.day: one.balance for one in burn.days if one.day.month == 5}
    assert len(burn.days) == 30 and not burn.cut
    assert [str(by_day[day]) for day in (10, 11, 17, 20)] == ["100", "80", "60", "50"]
    assert burn.days[0].balance == 100 and burn.ahead == "" and burn.empties is None


def test_a_projection_ends_where_credits_do() -> None:
    burn = _burn([_moved(2, "50", "50")], usable_credits="60", days_to_empty=7)

    assert (
        burn.empties is not None
        and burn.empties.isoformat() == "2026-05-27" == burn.last.isoformat()
    )
    assert burn.floor is not None and burn.ahead.split(",")[-1] == f"{burn.floor:.2f}"
    assert burn.ahead.split(" ")[0] == burn.line.split(" ")[-1]


def test_a_chart_of_too_many_transactions_starts_with_the_oldest_one() -> None:
    burn = _burn([_moved(0, "-1", "50"), _moved(4, "-1", "51")], more=True)

    assert burn.cut and burn.count == 2 and len(burn.days) == 5


@pytest.mark.parametrize(
    ("least", "most", "labels"),
    [
        ("50", "50", ["0", "20", "40", "60"]),
        ("-3", "7", ["-5", "0", "5", "10"]),
        ("0", "0", ["0", "1"]),
        ("-0.000001", "0", ["-0.000001", "-0.0000005", "0"]),
        ("-1000", "0", ["-1000", "-500", "0"]),
    ],
)
def test_grid_lines_have_round_amounts(least: str, most: str, labels: list[str]) -> None:
    burn = _burn([_moved(1, most, most), _moved(2, least, least)], balance=most)

    assert [label for _, label in burn.rows] == labels
    assert [height for height, _ in burn.rows] == sorted(
        (height for height, _ in burn.rows), reverse=True
    )
    assert all(0 <= height <= 100 for height, _ in burn.rows)
