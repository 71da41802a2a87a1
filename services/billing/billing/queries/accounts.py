"""What can be known about accounts."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from chassis.errors import NotFound
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.models import Account, Spending
from billing.values import CLOSED, SEALED, format_money

BURN_DAYS = 14
MAX_DAYS_TO_EMPTY = 36_500


class NoAccount(NotFound):
    code = "not_found"
    detail = "This organization has no account."


def provider_of(session: Session, organization_id: str) -> str | None:
    """The provider of a customer that has an account."""
    wanted = select(Account.provider_id).where(Account.organization_id == organization_id)
    return session.execute(wanted).scalar_one_or_none()


def account(session: Session, organization_id: str, *, lock: bool = False) -> Account:
    """The organization's account; ``lock``: nobody else may post until this transaction ends.
    Raises NoAccount."""
    wanted = select(Account).where(Account.organization_id == organization_id)
    if lock:
        wanted = wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    found = session.execute(wanted).scalar_one_or_none()
    if found is None:
        raise NoAccount()
    return found


def accounts_with_ended_limits(session: Session, now: datetime, most: int) -> Sequence[Account]:
    """Accounts whose temporary limit has ended and is still noted, locked; those that others lock
    are left out."""
    return session.scalars(
        select(Account)
        .where(Account.credit_limit_expires_at <= now)
        .order_by(Account.organization_id)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()


def accounts_to_recount(session: Session, now: datetime, most: int) -> Sequence[Account]:
    """Accounts whose days to empty must be counted anew, locked; those that others lock are left
    out."""
    return session.scalars(
        select(Account)
        .where(Account.days_due_on <= utc_day(now))
        .order_by(Account.days_due_on)
        .limit(most)
        .with_for_update(skip_locked=True)
    ).all()


def utc_day(moment: datetime) -> date:
    """The day, UTC."""
    return moment.astimezone(UTC).date()


def show_account(session: Session, found: Account, now: datetime) -> dict[str, Any]:
    """The account as people see it."""
    figures, ends = found.figures(now), found.temporary_limit_ends(now)

    def money(amount: int | None) -> str | None:
        return None if amount is None else format_money(amount, found.currency)

    return {
        "organization_id": found.organization_id,
        "currency": found.currency,
        "payment_mode": found.payment_mode,
        "status": public_status(found),
        "usable_credits": money(figures.usable),
        "balance": money(figures.balance),
        "credit_limit": money(figures.limit),
        "credit_limit_expires_at": ends,
        "reserved_credits": money(found.held),
        "expecting_invoice": money(figures.expecting_invoice),
        "amount_due": money(figures.amount_due),
        "current_balance": money(figures.current_balance),
        "days_to_empty": days_to_empty(session, found, now),
        "auto_top_up": {
            "enabled": found.auto_enabled,
            "threshold": money(found.auto_top_up_threshold),
            "amount": money(found.auto_amount),
            "method": found.auto_method,
        },
        "payment_method": found.payment_method,
        "as_of": now,
    }


def patchable(found: Account, now: datetime) -> dict[str, Any]:
    """What the account's ETag covers: the values that can be patched, as they were set."""
    return {
        "payment_mode": found.payment_mode,
        "credit_limit": found.limit_at(now),
        "credit_limit_expires_at": found.temporary_limit_ends(now),
        "auto_top_up": [
            found.auto_enabled,
            found.auto_threshold,
            found.auto_amount,
            found.auto_method,
        ],
    }


def public_status(found: Account) -> str:
    """Outside, an account closed for good is closed like any other."""
    return CLOSED if found.status == SEALED else found.status


def days_to_empty(session: Session, found: Account, now: datetime) -> int | None:
    """How many whole days the usable credits last at the pace of the last 14 days, today among
    them, at most a hundred years; None when nothing is burnt, or the account is postpaid."""
    if found.payment_mode != "prepaid" or found.is_closed:
        return None
    days = select(Spending.amount).where(
        Spending.organization_id == found.organization_id,
        Spending.day > utc_day(now) - timedelta(days=BURN_DAYS),
    )
    burnt = sum(session.scalars(days))
    usable = max(0, found.figures(now).usable)
    return min(usable * BURN_DAYS // burnt, MAX_DAYS_TO_EMPTY) if burnt else None


def blockers(found: Account, now: datetime) -> list[dict[str, str]]:
    """What keeps the account from being closed, amounts as decimal strings."""
    return [
        {
            "code": blocker.code,
            "amount": format_money(blocker.amount, found.currency),
            "currency": found.currency,
        }
        for blocker in found.figures(now).blockers(found.in_flight)
    ]
