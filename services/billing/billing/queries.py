"""What can be known about accounts, their transactions and a provider's wallet."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from chassis import ids
from chassis.errors import NotFound
from sqlalchemy import Select, case, func, literal, select, text, union_all
from sqlalchemy.orm import Session

from billing.models import Account, Entry, Provider, Spending
from billing.models.journal import FIRST, FIRST_AND_IN, FIRST_AND_RARE
from billing.values import ADJUSTMENTS, CHARGES, CLOSED, SEALED, UNIT, Code, format_money

BURN_DAYS = 14
FAR = 36_500
BATCH = 500
GROUPS = {"charge": CHARGES, "adjustment": ADJUSTMENTS}
SETTLED_WITH_THE_PROVIDER = (Code.COST, Code.WALLET)


class NoAccount(NotFound):
    """This organization has no account."""

    code = "not_found"


class NoTransaction(NotFound):
    """There is no such transaction on this account."""

    code = "not_found"


class Purse(NamedTuple):
    """A provider's money in one currency: its ``balance`` at the platform, and what of it is its customers'."""

    currency: str
    balance: int
    customers: int

    @property
    def usable(self) -> int:
        """balance - customers' positive money."""
        return self.balance - self.customers


def provider_of(session: Session, organization_id: str) -> str | None:
    """The provider of a customer that has an account."""
    wanted = select(Account.provider_id).where(Account.organization_id == organization_id)
    return session.execute(wanted).scalar_one_or_none()


def account(session: Session, organization_id: str, *, lock: bool = False) -> Account:
    """The organization's account; ``lock``: nobody else may post until this transaction ends. Raises NoAccount."""
    wanted = select(Account).where(Account.organization_id == organization_id)
    if lock:
        wanted = wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    found = session.execute(wanted).scalar_one_or_none()
    if found is None:
        raise NoAccount()
    return found


def ended_limits(session: Session, now: datetime, most: int) -> Sequence[Account]:
    """Accounts whose temporary limit has ended and is still noted, locked; those that others lock are left out."""
    return session.scalars(
        select(Account).where(Account.credit_limit_expires_at <= now)
        .order_by(Account.organization_id).limit(most).with_for_update(skip_locked=True)
    ).all()


def uncounted_days(session: Session, now: datetime, most: int) -> Sequence[Account]:
    """Accounts whose days to empty must be counted anew, locked; those that others lock are left out."""
    return session.scalars(
        select(Account).where(Account.days_due_on <= day_of(now))
        .order_by(Account.days_due_on).limit(most).with_for_update(skip_locked=True)
    ).all()


def day_of(moment: datetime) -> date:
    """The day, UTC."""
    return moment.astimezone(UTC).date()


def show_account(session: Session, found: Account, now: datetime) -> dict[str, Any]:
    """The account as people see it."""
    figures, ends = found.figures(now), found.temporary_limit_ends(now)

    def money(amount: int | None) -> str | None:
        return None if amount is None else format_money(amount, found.currency)

    return {
        "organization_id": found.organization_id, "currency": found.currency, "payment_mode": found.payment_mode,
        "status": shown_status(found), "usable_credits": money(figures.usable), "balance": money(figures.balance),
        "credit_limit": money(figures.limit), "credit_limit_expires_at": ends,
        "reserved_credits": money(found.held), "expecting_invoice": money(figures.expecting_invoice),
        "amount_due": money(figures.amount_due), "current_balance": money(figures.current_balance),
        "days_to_empty": days_to_empty(session, found, now),
        "auto_top_up": {
            "enabled": found.auto_enabled, "threshold": money(found.auto_top_up_threshold),
            "amount": money(found.auto_amount), "method": found.auto_method,
        },
        "payment_method": found.payment_method, "as_of": now,
    }


def patchable(found: Account, now: datetime) -> dict[str, Any]:
    """What the account's ETag covers: the values that can be patched, as they were set."""
    return {
        "payment_mode": found.payment_mode, "credit_limit": found.limit_at(now),
        "credit_limit_expires_at": found.temporary_limit_ends(now),
        "auto_top_up": [found.auto_enabled, found.auto_threshold, found.auto_amount, found.auto_method],
    }


def shown_status(found: Account) -> str:
    """Outside, an account closed for good is closed like any other."""
    return CLOSED if found.status == SEALED else found.status


def days_to_empty(session: Session, found: Account, now: datetime) -> int | None:
    """How many whole days the usable credits last at the pace of the last 14 days, today among them, at most a
    hundred years; None when nothing is burnt, or the account is postpaid."""
    if found.payment_mode != "prepaid" or found.is_closed:
        return None
    days = select(Spending.amount).where(
        Spending.organization_id == found.organization_id, Spending.day > day_of(now) - timedelta(days=BURN_DAYS)
    )
    burnt = sum(session.scalars(days))
    usable = max(0, found.figures(now).usable)
    return min(usable * BURN_DAYS // burnt, FAR) if burnt else None


def blockers(found: Account, now: datetime) -> list[dict[str, str]]:
    """What keeps the account from being closed, amounts as decimal strings."""
    return [
        {"code": blocker.code, "amount": format_money(blocker.amount, found.currency), "currency": found.currency}
        for blocker in found.figures(now).blockers(found.in_flight)
    ]


def transactions(
    organization_id: str, *, kind: str | None = None, since: datetime | None = None, until: datetime | None = None,
    direction: str | None = None,
) -> Select[Any]:
    """The first rows of an organization's transactions, newest first. ``kind``: a kind or a group of them;
    ``since`` is included, ``until`` is not; ``direction``: ``in`` or ``out``, seen from the customer."""
    query = select(Entry).where(Entry.organization_id == organization_id).order_by(Entry.seq.desc())
    kinds = GROUPS.get(kind, (kind,)) if kind else ()
    query = query.where(text(FIRST_AND_RARE if kinds and "usage" not in kinds else FIRST))
    if kinds:
        query = query.where(Entry.kind.in_(kinds))
    if since:
        query = query.where(Entry.occurred_at >= since)
    if until:
        query = query.where(Entry.occurred_at < until)
    if direction:
        query = query.where(text(FIRST_AND_IN) if direction == "in" else Entry.moved < 0)
    return query


def show_page(session: Session, found: Account, rows: Sequence[Entry], *, staff: bool) -> list[dict[str, Any]]:
    """First rows as transactions. ``staff``: with what they cost the provider."""
    costs = _costs(session, found.organization_id, rows) if staff else None
    return [_show(row, found.currency, costs) for row in rows]


def transactions_before(
    session: Session, found: Account, seq: int | None, *, staff: bool, **filters: Any
) -> tuple[list[dict[str, Any]], int | None]:
    """The next batch of the transactions the filters leave, newest first, and where the one after it begins; the
    first begins at None."""
    query = transactions(found.organization_id, **filters).limit(BATCH)
    rows = session.scalars(query if seq is None else query.where(Entry.seq < seq)).all()
    return show_page(session, found, rows, staff=staff), rows[-1].seq if rows else None


def transaction(session: Session, *, organization_id: str, transaction_id: str, staff: bool) -> dict[str, Any]:
    """One transaction with its entries. Raises NoAccount, NoTransaction."""
    found = account(session, organization_id)
    if not ids.is_id("txn", transaction_id):
        raise NoTransaction()
    rows = session.scalars(
        select(Entry)
        .where(Entry.organization_id == organization_id, Entry.transaction_id == transaction_id)
        .order_by(Entry.part)
    ).all()
    if not rows:
        raise NoTransaction()
    return show_transaction(rows, found.currency, staff=staff)


def show_transaction(rows: Sequence[Entry], currency: str, *, staff: bool) -> dict[str, Any]:
    """A transaction with its entries, unfolded from its rows; cost and its entries for staff only."""
    cost = sum(row.amount for row in rows if _is_cost(row))
    shown = _show(rows[0], currency, {rows[0].transaction_id: cost} if staff else None)
    shown["entries"] = [
        line
        for row in rows if staff or not _is_cost(row)
        for line in (_leg(row.debit, row.amount, 0, currency), _leg(row.credit, 0, row.amount, currency))
    ]
    return shown


def purses(session: Session, provider_id: str) -> list[Purse]:
    """The provider's money, by currency; its own currency first, exact at this instant."""
    own = session.execute(select(Provider.currency).where(Provider.id == provider_id)).scalar_one_or_none()
    found = {own: (0, 0)} if own else {}
    for currency, *sums in session.execute(union_all(_customers(provider_id), _own(provider_id))):
        balance, customers = found.get(currency, (0, 0))
        found[currency] = balance + _whole(sums[:2]), customers + _whole(sums[2:])
    return [Purse(c, *found[c]) for c in sorted(found, key=lambda c: (c != own, c))]


def purse(session: Session, provider_id: str, currency: str) -> Purse:
    """The provider's money in one currency."""
    found = {purse.currency: purse for purse in purses(session, provider_id)}
    return found.get(currency, Purse(currency, 0, 0))


def _customers(provider_id: str) -> Select[Any]:
    """By currency: what the customers' entries did to the provider's balance, and the sum of what each customer has,
    where that is above zero. In one statement with the provider's own, so that all is of the same instant."""
    net = Account.prepaid + Account.surplus - Account.unbilled - Account.invoiced
    theirs = case((net > 0, net), else_=0)
    return (
        select(Account.currency, *_halves(Account.on_wallet), *_halves(theirs))
        .where(Account.provider_id == provider_id).group_by(Account.currency)
    )


def _own(provider_id: str) -> Select[Any]:
    """By currency: what the provider's own journal did to its balance; nothing to that of its customers."""
    signed = case((Entry.debit == Code.WALLET, Entry.amount), else_=-Entry.amount)
    nothing = literal(0)
    return (
        select(Entry.currency, *_halves(signed), nothing, nothing)
        .where(Entry.organization_id == provider_id).group_by(Entry.currency)
    )


def _halves(amount: Any) -> tuple[Any, Any]:
    """The sums of units and of millionths, apart: together they could overflow 64 bits."""
    return func.sum(amount // UNIT), func.sum(amount % UNIT)


def _whole(sums: Any) -> int:
    return int(sums[0] or 0) * UNIT + int(sums[1] or 0)


def _costs(session: Session, organization_id: str, rows: Sequence[Entry]) -> dict[str, int]:
    """What each of these transactions cost the provider."""
    if not rows:
        return {}
    debit, credit = SETTLED_WITH_THE_PROVIDER
    found = session.execute(
        select(Entry.transaction_id, Entry.amount).where(
            Entry.organization_id == organization_id,
            Entry.transaction_id.in_([row.transaction_id for row in rows]),
            Entry.debit == debit, Entry.credit == credit,
        )
    )
    return {row.transaction_id: row.amount for row in found}


def _is_cost(row: Entry) -> bool:
    return (row.debit, row.credit) == SETTLED_WITH_THE_PROVIDER


def _show(row: Entry, currency: str, costs: dict[str, int] | None) -> dict[str, Any]:
    """A transaction as people see it, from its first row; ``costs`` None: they are not for this reader."""
    shown = {
        "id": row.transaction_id, "organization_id": row.organization_id, "kind": row.kind,
        "amount": format_money(row.moved, currency), "currency": currency,
        "balance_after": format_money(row.balance_after, currency), "description": row.description,
        "method": row.method, "reference": row.reference, "remark": row.remark, "reason": row.reason,
        "external_invoice": row.external_invoice, "occurred_at": row.occurred_at,
    }
    if row.external_invoice is not None:
        shown["external_amount"] = format_money(row.amount, currency)
    if costs is not None:
        shown["cost"] = format_money(costs.get(row.transaction_id, 0), currency)
    return shown


def _leg(code: int, debit: int, credit: int, currency: str) -> dict[str, str]:
    return {
        "account": Code(code).label, "debit": format_money(debit, currency), "credit": format_money(credit, currency)
    }
