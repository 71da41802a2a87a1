"""A discrepancy, and what the checks of the ledger audit share."""

from typing import Any, NamedTuple

from sqlalchemy import Numeric, cast, func

from billing.values import UNIT, Code

MAX_DISCREPANCIES = 1_000
# The buckets: the account of each, and whether a credit increases (1) or decreases (-1) it.
BUCKET_SIGNS = {
    "prepaid": (Code.PREPAID, 1),
    "surplus": (Code.SURPLUS, 1),
    "unbilled": (Code.UNBILLED, -1),
    "invoiced": (Code.INVOICED, -1),
    "held": (Code.HELD, 1),
}
BUCKETS = tuple(BUCKET_SIGNS)


class Discrepancy(NamedTuple):
    """A violated invariant: in whose journal, which one, and the figures that do not agree."""

    organization_id: str
    invariant: str
    detail: str


def code_label(code: int) -> str:
    """The name of an account of the chart, or the bare number if there is none."""
    return Code(code).label if code in set(Code) else str(code)


def halves(amount: Any) -> tuple[Any, Any]:
    """Sums of whole units and of millionths; a single sum could overflow 64 bits."""
    return func.sum(amount // UNIT).label("units"), func.sum(amount % UNIT).label("millionths")


def whole(row: Any) -> int:
    """The sum in a row that has the two halves."""
    return int(row.units or 0) * UNIT + int(row.millionths or 0)


def total(amount: Any) -> Any:
    """The sum as an SQL expression."""
    units, millionths = (half.element for half in halves(amount))
    return units * UNIT + millionths


def exact(amount: Any) -> Any:
    """The amount as a number whose arithmetic cannot overflow, whatever was written to the row."""
    return cast(amount, Numeric(30, 0))
