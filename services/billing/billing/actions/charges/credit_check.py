"""Whether an account can afford an amount, and what would help if it cannot."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.actions.ledger.refusals import InsufficientCredits, failure, freed_by_expiry
from billing.actions.reservations import expiry
from billing.models import Account
from billing.models.decisions import insufficient
from billing.values import format_money


def check(session: Session, account: Account, amount: int, now: datetime) -> None:
    """Raise InsufficientCredits if the usable credits do not cover the amount.

    Expired reservations are released first if that can help. The account is locked. The error names
    the shortfall, the top-up and the credit limit that would cover it, and the reservations whose
    expiry would.
    """
    refusal = insufficient(account.figures(now), amount, account.currency)
    if refusal is not None and account.held:
        expiry.expire_due(session, account, now)
        refusal = insufficient(account.figures(now), amount, account.currency)
    if refusal is not None:
        raise failure(session, account.organization_id, refusal)


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
        **freed_by_expiry(session, account.organization_id, account.held, currency, missing),
    )
