"""Whether an account can afford an amount, and what would help if it cannot."""

from datetime import datetime
from typing import Any

from chassis.errors import Conflict
from chassis.runtime import clock
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.reservations import expiry
from billing.models import Account
from billing.values import format_money


class InsufficientCredits(Conflict):
    code = "insufficient_credits"
    detail = "The account does not have enough credits. Top it up or use a smaller amount."


def check(session: Session, account: Account, amount: int, now: datetime) -> None:
    """Raise InsufficientCredits if the usable credits do not cover the amount.

    Expired reservations are released first if that can help. The account is locked. The error names
    the shortfall, the top-up and the credit limit that would cover it, and the reservations whose
    expiry would.
    """
    shortfall = amount - account.figures(now).usable
    if shortfall > 0 and account.held:
        expiry.expire_due(session, account, now)
        shortfall = amount - account.figures(now).usable
    if shortfall <= 0:
        return
    figures, currency = account.figures(now), account.currency
    raise InsufficientCredits(
        shortfall=format_money(shortfall, currency),
        usable=format_money(figures.usable, currency),
        cure={
            "top_up": format_money(shortfall + figures.uncovered_debt, currency),
            "credit_limit": format_money(figures.limit + shortfall, currency),
        },
        **_freed_by_expiry(session, account, shortfall),
    )


def check_withdrawable(session: Session, account: Account, amount: int, now: datetime) -> None:
    """Raise InsufficientCredits if less than the amount can be withdrawn. The account is locked.

    The error names the reservations whose expiry would help; a surplus is not reduced by any.
    """
    if amount > account.figures(now).withdrawable and account.held:
        expiry.expire_due(session, account, now)
    figures, currency = account.figures(now), account.currency
    withdrawable = figures.withdrawable
    if amount <= withdrawable:
        return
    missing = amount - figures.balance if figures.is_prepaid else 0
    raise InsufficientCredits(
        "The amount is higher than what can be withdrawn. Use a smaller amount.",
        shortfall=format_money(amount - withdrawable, currency),
        withdrawable=format_money(withdrawable, currency),
        **_freed_by_expiry(session, account, missing),
    )


def _freed_by_expiry(session: Session, account: Account, missing: int) -> dict[str, Any]:
    """The reservations whose expiry frees the missing amount, and when; none if not all of it."""
    if not 0 < missing <= account.held:
        return {"reservations": [], "freed_at": None}
    soonest, freed_at = queries.reservations_freeing(session, account.organization_id, missing)
    return {
        "reservations": [
            {
                "id": reservation_id,
                "frees": format_money(left, account.currency),
                "expires_at": clock.stamp(expires_at),
            }
            for reservation_id, left, expires_at in soonest
        ],
        "freed_at": clock.stamp(freed_at),
    }
