"""Whether an account can bear what is asked of it, and where it can't, what would help."""

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
    """Raise InsufficientCredits when the usable credits do not cover the amount, not even once the
    reservations that are due have expired. The account is locked.

    It says what is missing, the top-up and the limit that would cure it, and the reservations that
    would."""
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
        **_freed(session, account, shortfall),
    )


def check_withdrawable(session: Session, account: Account, amount: int, now: datetime) -> None:
    """Raise InsufficientCredits when there is less to pay out than this, with the reservations that
    hold it back. A surplus is held back by none. The account is locked."""
    if amount > account.figures(now).withdrawable and account.held:
        expiry.expire_due(session, account, now)
    figures = account.figures(now)
    there, currency = figures.withdrawable, account.currency
    if amount > there:
        raise InsufficientCredits(
            "There is less to withdraw than this. Use a smaller amount.",
            shortfall=format_money(amount - there, currency),
            withdrawable=format_money(there, currency),
            **_freed(session, account, amount - figures.balance if figures.is_prepaid else 0),
        )


def _freed(session: Session, account: Account, missing: int) -> dict[str, Any]:
    """The reservations that will free what is missing by running out, soonest first, ten at the
    most, and when the last of those needed does; none of them where all together do not suffice."""
    if not 0 < missing <= account.held:
        return {"reservations": [], "freed_at": None}
    first, freed_at = queries.reservations_freeing(session, account.organization_id, missing)
    return {
        "reservations": [
            {
                "id": id_,
                "frees": format_money(left, account.currency),
                "expires_at": clock.stamp(expires_at),
            }
            for id_, left, expires_at in first
        ],
        "freed_at": clock.stamp(freed_at),
    }
