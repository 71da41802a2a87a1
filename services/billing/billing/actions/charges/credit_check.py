"""Whether an account can afford an amount, and what would help if it cannot."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from billing.actions.ledger.refusals import failure
from billing.actions.reservations import expiry
from billing.models import Account, Figures
from billing.models.decisions import Refusal, insufficient, not_withdrawable

Rule = Callable[[Figures, int, str], Refusal | None]


def check(session: Session, account: Account, amount: int, now: datetime) -> None:
    """Raise InsufficientCredits if the usable credits do not cover the amount.

    Expired reservations are released first if that can help. The account is locked. The error names
    the shortfall, the top-up and the credit limit that would cover it, and the reservations whose
    expiry would.
    """
    _check(session, account, insufficient, amount, now)


def check_withdrawable(session: Session, account: Account, amount: int, now: datetime) -> None:
    """Raise NotWithdrawable if less than the amount can be withdrawn. The account is locked.

    The error names the reservations whose expiry would help; a surplus is not reduced by any.
    """
    _check(session, account, not_withdrawable, amount, now)


def _check(session: Session, account: Account, rule: Rule, amount: int, now: datetime) -> None:
    refusal = rule(account.figures(now), amount, account.currency)
    if refusal is not None and account.held:
        expiry.expire_due(session, account, now)
        refusal = rule(account.figures(now), amount, account.currency)
    if refusal is not None:
        raise failure(session, account.organization_id, refusal)
