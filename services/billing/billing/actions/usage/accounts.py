"""Locking the accounts of a batch of usage, and writing them back, with bulk SQL.

PostgreSQL gets and returns plain arrays and rows, because the types of SQLAlchemy would cost more
than the statements.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from chassis.db.upserts import is_postgresql
from chassis.runtime import ids
from sqlalchemy import case, select, text
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger.bulk_sql import (
    array,
    insert_rows,
    on_conflict_do_nothing,
    update_rows,
)
from billing.models import Account, Spending, UnpublishedBalance
from billing.models.account_snapshot import SNAPSHOT_COLUMNS, AccountSnapshot
from billing.values import MAX_STORED

_ACCOUNTS: Any = Account.__table__
_SPENDINGS: Any = Spending.__table__
_UNPUBLISHED: Any = UnpublishedBalance.__table__
_CHANGED = ("prepaid", "unbilled", "seq", "on_wallet")
_LOCK = text(
    """
    SELECT n, {columns}
    FROM unnest(CAST(:organizations AS uuid[]), CAST(:providers AS uuid[])) WITH ORDINALITY
        AS requested (organization_id, provider_id, n)
    JOIN accounts USING (organization_id, provider_id)
    ORDER BY organization_id FOR NO KEY UPDATE OF accounts
""".replace("{columns}", ", ".join(SNAPSHOT_COLUMNS))
)
_STORE = text("""
    WITH new AS (
        SELECT * FROM unnest(
            CAST(:id AS uuid[]), CAST(:prepaid AS bigint[]), CAST(:unbilled AS bigint[]),
            CAST(:seq AS bigint[]), CAST(:on_wallet AS bigint[]), CAST(:spent AS bigint[])
        ) AS new (organization_id, prepaid, unbilled, seq, on_wallet, spent)
    ), stored AS (
        UPDATE accounts
        SET prepaid = new.prepaid, unbilled = new.unbilled, seq = new.seq, on_wallet = new.on_wallet
        FROM new WHERE accounts.organization_id = new.organization_id
    ), spent AS (
        INSERT INTO spendings (organization_id, day, amount)
        SELECT organization_id, :day, spent FROM new
        ON CONFLICT (organization_id, day) DO UPDATE
        SET amount = least(spendings.amount, :max_stored - excluded.amount) + excluded.amount
    )
    INSERT INTO unsaid_figures SELECT organization_id FROM new ON CONFLICT DO NOTHING
""")


def lock_snapshots(
    session: Session, keys: Collection[tuple[str, str]], now: datetime
) -> dict[tuple[str, str], AccountSnapshot]:
    """The accounts by (provider, organization), locked in the one order that is used everywhere."""
    if is_postgresql(session):
        rows = _lock_postgresql(session, list(keys))
    else:
        rows = _read_sqlite(session, keys)
    return {
        (provider, organization): AccountSnapshot.of(
            ids.to_uuid("org", organization), ids.to_uuid("org", provider), row, now
        )
        for (provider, organization), row in rows.items()
    }


def store_snapshots(session: Session, changed: Sequence[AccountSnapshot], now: datetime) -> None:
    """Write the accounts back, add to their spending of today, and have the balances published."""
    day = queries.utc_day(now)
    if is_postgresql(session):
        columns = {}
        for name in ("id", *_CHANGED, "spent"):
            columns[name] = array([getattr(snapshot, name) for snapshot in changed])
        session.connection().execute(_STORE, {**columns, "day": day, "max_stored": MAX_STORED})
        return
    update_rows(
        session,
        _ACCOUNTS,
        "organization_id",
        _CHANGED,
        [(s.id, s.prepaid, s.unbilled, s.seq, s.on_wallet) for s in changed],
    )
    insert_rows(
        session,
        _SPENDINGS,
        ("organization_id", "day", "amount"),
        [(snapshot.id, day, snapshot.spent) for snapshot in changed],
        conflict=_add_to_spending,
    )
    insert_rows(
        session,
        _UNPUBLISHED,
        ("organization_id",),
        [(snapshot.id,) for snapshot in changed],
        conflict=on_conflict_do_nothing,
    )


def _lock_postgresql(
    session: Session, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Sequence[Any]]:
    providers = array([ids.to_uuid("org", provider) for provider, _ in keys])
    organizations = array([ids.to_uuid("org", organization) for _, organization in keys])
    rows = session.connection().execute(
        _LOCK, {"organizations": organizations, "providers": providers}
    )
    return {keys[number - 1]: row for number, *row in rows}


def _read_sqlite(
    session: Session, keys: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Sequence[Any]]:
    """SQLite has no row locks: the transaction has locked the whole database."""
    names = ("provider_id", "organization_id", *SNAPSHOT_COLUMNS)
    organizations = {organization for _, organization in keys}
    query = select(*(_ACCOUNTS.c[name] for name in names)).where(
        _ACCOUNTS.c.organization_id.in_(organizations)
    )
    return {
        (provider, organization): row for provider, organization, *row in session.execute(query)
    }


def _add_to_spending(statement: Any) -> Any:
    stored, added = _SPENDINGS.c.amount, statement.excluded.amount
    total = case((stored > MAX_STORED - added, MAX_STORED), else_=stored + added)
    return statement.on_conflict_do_update(
        index_elements=["organization_id", "day"], set_={"amount": total}
    )
