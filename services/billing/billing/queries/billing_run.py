"""What the billing run needs: accounts whose month has ended, where it ended, overdue invoices."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from chassis.db.bulk_sql import among, array
from chassis.db.upserts import is_postgresql
from chassis.runtime import ids
from sqlalchemy import bindparam, case, not_, select, text
from sqlalchemy.orm import Session

from billing.models import Account, Entry, Invoice, Provider
from billing.models.drafts import Customer, MonthEnd, Period
from billing.models.invoice import NOT_YET_OVERDUE, REGULAR_ONLY
from billing.models.snapshot import READ
from billing.values import month_start

_ACCOUNTS: Any = Account.__table__


def organizations_to_bill(
    session: Session,
    now: datetime,
    limit: int,
    *,
    skip: Collection[str] = (),
    skip_providers: Collection[str] = (),
) -> Sequence[tuple[str, str]]:
    """The organizations whose month has ended, each with its provider, but for those to ``skip``
    and those of providers to skip; not locked."""
    query = select(_ACCOUNTS.c.organization_id, _ACCOUNTS.c.provider_id).where(
        _ACCOUNTS.c.month_ends_at <= now
    )
    if skip_providers:
        query = query.where(_ACCOUNTS.c.provider_id.not_in(skip_providers))
    parameters = {}
    if skip:
        query = query.where(not_(_of_dialect(session, _IS_AMONG)))
        parameters = _among(session, skip)
    query = query.order_by(_ACCOUNTS.c.month_ends_at).limit(limit)
    return [(row[0], row[1]) for row in session.connection().execute(query, parameters)]


def accounts_to_bill(
    session: Session, organization_ids: Collection[str], now: datetime
) -> list[tuple[Customer, dict[str, Any]]]:
    """Those of these accounts whose month has ended, locked, each with its columns ``READ``;
    accounts locked elsewhere are skipped."""
    parameters = {**_among(session, organization_ids), "now": now}
    rows = session.connection().execute(_of_dialect(session, _TO_BILL), parameters)
    count = len(Customer._fields)
    return [(Customer(*row[:count]), dict(zip(READ, row[count:], strict=True))) for row in rows]


def month_ends(
    session: Session, customers: Collection[Customer], now: datetime
) -> dict[str, MonthEnd]:
    """By organization, where the last full month ended in its journal.

    Organizations without rows to invoice are missing. Only the newest of the rows since the last
    regular invoice are read.
    """
    parameters = _among(session, [customer.organization_id for customer in customers])
    timezones = {customer.timezone for customer in customers}
    for number, zone in enumerate(timezones):
        parameters |= {f"zone_{number}": zone, f"start_{number}": month_start(now, zone)}
    queries = _month_ends(len(timezones))
    rows = session.connection().execute(_of_dialect(session, queries), parameters)
    return {
        organization_id: MonthEnd(seq, unbilled)
        for organization_id, seq, unbilled in rows
        if seq is not None
    }


def last_periods(session: Session, organization_ids: Collection[str]) -> dict[str, Period]:
    """By organization, the period of its last regular invoice."""
    parameters = _among(session, organization_ids)
    rows = session.connection().execute(_of_dialect(session, _LAST_PERIODS), parameters)
    return {
        row.organization_id: Period(row.last_day, row.issued_on) for row in rows if row.last_day
    }


def sellers(session: Session, provider_ids: Collection[str]) -> dict[str, Provider]:
    """These providers by id, not locked; one with default settings where it is not known yet."""
    known = session.scalars(select(Provider).where(Provider.id.in_(provider_ids)))
    unknown = {id_: Provider(id=id_, settings={}) for id_ in provider_ids}
    return unknown | {provider.id: provider for provider in known}


def _among(session: Session, organization_ids: Collection[str]) -> dict[str, Any]:
    """The parameter of the statements about these organizations."""
    uuids = [ids.to_uuid("org", organization_id) for organization_id in organization_ids]
    return {"organizations": array(uuids) if is_postgresql(session) else uuids}


def _of_dialect(session: Session, statements: Mapping[str, Any]) -> Any:
    return statements[session.get_bind().dialect.name]


# Made once for each kind of database: making a statement takes longer than many of its rows.
_IS_AMONG = among(_ACCOUNTS.c.organization_id, "organizations")
_TO_BILL = {
    name: select(*(_ACCOUNTS.c[column] for column in (*Customer._fields, *READ)))
    .where(is_among, _ACCOUNTS.c.month_ends_at <= bindparam("now"))
    .order_by(_ACCOUNTS.c.organization_id)
    .with_for_update(skip_locked=True, key_share=True)
    for name, is_among in _IS_AMONG.items()
}


def _of_each(query: Any) -> dict[str, Any]:
    """For each account the columns of the one row of this query that is about it, or NULL. As
    subqueries, so that no plan ever reads a whole journal."""
    columns = [
        query.with_only_columns(column).correlate(Account).scalar_subquery().label(column.key)
        for column in query.selected_columns
    ]
    return {
        name: select(Account.organization_id, *columns).where(is_among)
        for name, is_among in _IS_AMONG.items()
    }


_LAST_PERIODS = _of_each(
    select(Invoice.about[("period", "to")].as_string().label("last_day"), Invoice.issued_on).where(
        Invoice.organization_id == Account.organization_id,
        Invoice.to_seq == Account.invoiced_seq,
        text(REGULAR_ONLY),
    )
)


@cache
def _month_ends(timezones: int) -> dict[str, Any]:
    """``timezones``: how many there are, as the parameters zone_0, start_0 …"""
    type_ = Entry.posted_at.type
    starts = case(
        *(
            (Account.timezone == bindparam(f"zone_{n}"), bindparam(f"start_{n}", type_=type_))
            for n in range(timezones)
        )
    )
    return _of_each(
        select(Entry.seq, Entry.unbilled_after)
        .where(
            Entry.organization_id == Account.organization_id,
            Entry.seq > Account.invoiced_seq,
            Entry.posted_at < starts,
        )
        .order_by(Entry.seq.desc())
        .limit(1)
    )


def newly_overdue(session: Session, now: datetime, limit: int) -> list[tuple[Account, Invoice]]:
    """Invoices newly overdue, each with its account, locked; accounts locked elsewhere are
    skipped."""
    is_overdue = (text(NOT_YET_OVERDUE), Invoice.due_until <= now)
    organization_ids = session.scalars(
        select(Invoice.organization_id).where(*is_overdue).order_by(Invoice.due_until).limit(limit)
    ).all()
    locked = session.scalars(
        select(Account)
        .where(Account.organization_id.in_(organization_ids))
        .order_by(Account.organization_id)
        .with_for_update(skip_locked=True, key_share=True)
    )
    accounts = {account.organization_id: account for account in locked}
    invoices = session.scalars(
        select(Invoice)
        .where(*is_overdue, Invoice.organization_id.in_(list(accounts)))
        .order_by(Invoice.due_until)
        .limit(limit)
    )
    return [(accounts[invoice.organization_id], invoice) for invoice in invoices]
