"""Reading accounts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from chassis.db.database import Database
from chassis.db.direct import Statement
from chassis.errors import NotFound
from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from billing.models import Account, Figures, Spending
from billing.models.account import limit_in_force, temporary_limit_ends, top_up_threshold
from billing.values import CLOSED, SEALED, format_money

BURN_DAYS = 14
MAX_DAYS_TO_EMPTY = 36_500


_ROW: Any = Account.__table__
_SPENT = (
    select(func.sum(Spending.amount))
    .where(Spending.organization_id == _ROW.c.organization_id, Spending.day > bindparam("since"))
    .scalar_subquery()
)
_SHOWN = (
    "provider_id",
    "currency",
    "payment_mode",
    "status",
    "credit_limit",
    "temporary_limit",
    "credit_limit_expires_at",
    "prepaid",
    "surplus",
    "unbilled",
    "invoiced",
    "held",
    "last_top_up",
    "auto_enabled",
    "auto_threshold",
    "auto_amount",
    "auto_method",
    "payment_method",
)
_ACCOUNT = Statement(
    select(_ROW.c.organization_id, *(_ROW.c[name] for name in _SHOWN), _SPENT.label("spent")).where(
        _ROW.c.organization_id == bindparam("organization_id")
    )
)


class NoAccount(NotFound):
    code = "not_found"
    detail = "This organization has no account."


def provider_of(session: Session, organization_id: str) -> str | None:
    """The provider of a customer; None if it has no account."""
    query = select(Account.provider_id).where(Account.organization_id == organization_id)
    return session.execute(query).scalar_one_or_none()


def get_account(
    session: Session,
    organization_id: str,
    *,
    lock: bool = False,
    provider_id: str | None = None,
) -> Account:
    """The organization's account.

    With ``lock`` no other transaction can post to it until this one ends. ``provider_id``: the
    provider that it must belong to; None if that was checked. Raises NoAccount.
    """
    query = select(Account).where(Account.organization_id == organization_id)
    if provider_id is not None:
        query = query.where(Account.provider_id == provider_id)
    if lock:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    account = session.execute(query).scalar_one_or_none()
    if account is None:
        raise NoAccount()
    return account


def accounts_with_ended_limits(session: Session, now: datetime, limit: int) -> Sequence[Account]:
    """Accounts whose temporary limit has ended, locked; accounts locked elsewhere are skipped."""
    return session.scalars(
        select(Account)
        .where(Account.credit_limit_expires_at <= now)
        .order_by(Account.organization_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def accounts_to_recount(session: Session, now: datetime, limit: int) -> Sequence[Account]:
    """Accounts whose days to empty must be recounted, locked; accounts locked elsewhere are
    skipped."""
    return session.scalars(
        select(Account)
        .where(Account.days_due_on <= utc_day(now))
        .order_by(Account.days_due_on)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def utc_day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def show_account(session: Session, account: Account, now: datetime) -> dict[str, Any]:
    """The account as the API returns it."""
    days = days_to_empty(session, [account], now)
    return _shown(account, account.figures(now), days[account.organization_id], now)


def read_account(
    database: Database, organization_id: str, provider_id: str | None, now: datetime
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The account as the API returns it, and what its ETag covers; one query.

    ``provider_id``: the provider that the customer must belong to; None if that was checked. Raises
    NoAccount.
    """
    since = utc_day(now) - timedelta(days=BURN_DAYS)
    rows = database.rows(_ACCOUNT, organization_id=organization_id, since=since)
    if not rows or (provider_id is not None and rows[0].provider_id != provider_id):
        raise NoAccount()
    row = rows[0]
    limit = limit_in_force(row.credit_limit, row.temporary_limit, row.credit_limit_expires_at, now)
    figures = Figures(
        payment_mode=row.payment_mode,
        limit=limit,
        prepaid=row.prepaid,
        surplus=row.surplus,
        unbilled=row.unbilled,
        invoiced=row.invoiced,
        held=row.held,
    )
    is_counted = figures.is_prepaid and public_status(row) != CLOSED
    days = days_left(figures.usable, int(row.spent)) if is_counted and row.spent else None
    return _shown(row, figures, days, now), _patchable(row, limit, now)


def _shown(account: Any, figures: Figures, days: int | None, now: datetime) -> dict[str, Any]:
    """``account``: an account, or a row with its columns."""

    def money(amount: int | None) -> str | None:
        return None if amount is None else format_money(amount, account.currency)

    return {
        "organization_id": account.organization_id,
        "currency": account.currency,
        "payment_mode": account.payment_mode,
        "status": public_status(account),
        "usable_credits": money(figures.usable),
        "balance": money(figures.balance),
        "credit_limit": money(figures.limit),
        "credit_limit_expires_at": temporary_limit_ends(account.credit_limit_expires_at, now),
        "reserved_credits": money(account.held),
        "expecting_invoice": money(figures.expecting_invoice),
        "amount_due": money(figures.amount_due),
        "current_balance": money(figures.current_balance),
        "days_to_empty": days,
        "auto_top_up": {
            "enabled": account.auto_enabled,
            "threshold": money(top_up_threshold(account.auto_threshold, account.last_top_up)),
            "amount": money(account.auto_amount),
            "method": account.auto_method,
        },
        "payment_method": account.payment_method,
        "as_of": now,
    }


def patchable(account: Account, now: datetime) -> dict[str, Any]:
    """What the account's ETag covers: the values that can be changed, as they were set."""
    return _patchable(account, account.limit_at(now), now)


def _patchable(account: Any, limit: int, now: datetime) -> dict[str, Any]:
    return {
        "payment_mode": account.payment_mode,
        "credit_limit": limit,
        "credit_limit_expires_at": temporary_limit_ends(account.credit_limit_expires_at, now),
        "auto_top_up": [
            account.auto_enabled,
            account.auto_threshold,
            account.auto_amount,
            account.auto_method,
        ],
    }


def public_status(account: Any) -> str:
    """The status in the API, where a sealed account is closed."""
    return CLOSED if account.status == SEALED else account.status


def days_to_empty(
    session: Session, accounts: Sequence[Account], now: datetime
) -> dict[str, int | None]:
    """For each account, how many whole days its usable credits last at the rate of the last 14
    days, including today.

    At most a hundred years. None if nothing is spent, or the account is postpaid or closed.
    """
    ids = [each.organization_id for each in accounts if each.days_are_counted]
    spent = _spent_lately(session, ids, now) if ids else {}
    return {each.organization_id: _days(each, spent, now) for each in accounts}


def _days(account: Account, spent: Mapping[str, int], now: datetime) -> int | None:
    spending = spent.get(account.organization_id)
    if not spending:
        return None
    return days_left(account.figures(now).usable, spending)


def days_left(usable: int, spent: int) -> int:
    """How many whole days usable credits last at the rate of ``spent``, that of the last 14 days;
    at most a hundred years."""
    return min(max(0, usable) * BURN_DAYS // spent, MAX_DAYS_TO_EMPTY)


def _spent_lately(
    session: Session, organization_ids: Sequence[str], now: datetime
) -> dict[str, int]:
    daily_amounts = select(Spending.organization_id, Spending.amount).where(
        Spending.organization_id.in_(organization_ids),
        Spending.day > utc_day(now) - timedelta(days=BURN_DAYS),
    )
    spent: Counter[str] = Counter()
    for organization_id, amount in session.execute(daily_amounts):
        spent[organization_id] += amount
    return spent


def blockers(account: Account, now: datetime) -> list[dict[str, str]]:
    """What keeps the account from being closed; amounts are decimal strings."""
    return [
        {
            "code": blocker.code,
            "amount": format_money(blocker.amount, account.currency),
            "currency": account.currency,
        }
        for blocker in account.figures(now).blockers(account.in_flight)
    ]
