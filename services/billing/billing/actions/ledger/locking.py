"""Reading the accounts that orders are about, locked in the one order that is used everywhere."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.db import direct, stored_answers
from chassis.db.bulk_sql import array, array_parameter
from chassis.db.direct import Direct, Statement
from chassis.db.idempotency_keys import RequestKey
from chassis.db.upserts import is_postgresql
from chassis.runtime import ids
from sqlalchemy import ColumnClause, bindparam, column, select, text
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger.orders import Order
from billing.models import Account, Provider
from billing.models.decisions import Capture, Expire, Release
from billing.models.snapshot import READ, Snapshot

AccountKey = tuple[str | None, str]
_ANY = UUID(int=0)  # in place of a provider that was checked
_OF_RESERVATIONS = (Capture, Release, Expire)
_ACCOUNTS: Any = Account.__table__
_PROVIDERS: Any = Provider.__table__
_THRESHOLD = """(
        SELECT settings ->> 'low_credit_threshold' FROM providers WHERE id = accounts.provider_id
    ) AS low_threshold"""
_COLUMNS = ", ".join(
    ["accounts.organization_id", "accounts.provider_id", _THRESHOLD]
    + [f"accounts.{name}" for name in READ]
)
_ASKED = f"""
    FROM unnest({array_parameter("organizations", "uuid")}, {array_parameter("providers", "uuid")})
        AS asked (organization_id, provider_id)
    JOIN accounts USING (organization_id)
    WHERE asked.provider_id IN (accounts.provider_id, CAST(:any AS uuid))
"""
_LOCKING = " ORDER BY organization_id FOR NO KEY UPDATE OF accounts"
# The columns are named, so that the result is described once and not for every execution.
_NAMES: tuple[ColumnClause[Any], ...] = tuple(
    column(name) for name in ("organization_id", "provider_id", "low_threshold", *READ)
)
_LOCK = Statement(text("SELECT " + _COLUMNS + _ASKED + _LOCKING).columns(*_NAMES))
_VERSIONS = Statement(
    text(
        f"SELECT {stored_answers.USED} AS used, CAST(accounts.xmin AS text) AS version, "
        + _COLUMNS
        + _ASKED
    ).columns(column("used"), column("version"), *_NAMES)
)
_READ = (
    select(
        _ACCOUNTS.c.organization_id,
        _ACCOUNTS.c.provider_id,
        _PROVIDERS.c.settings["low_credit_threshold"].as_string(),
        *(_ACCOUNTS.c[name] for name in READ),
    )
    .outerjoin(_PROVIDERS, _PROVIDERS.c.id == _ACCOUNTS.c.provider_id)
    .where(_ACCOUNTS.c.organization_id.in_(bindparam("organizations", expanding=True)))
)


def lock_snapshots(
    session: Session, orders: Collection[Order], now: datetime
) -> dict[AccountKey, Snapshot]:
    """The accounts of the orders by (provider, organization), locked until the transaction ends,
    with the reservations that the orders name.

    An account that does not exist, or belongs to another provider, is left out.
    """
    keys = _keys(orders)
    snapshots = _lock(session, keys, now)
    _read_reservations(session, orders, snapshots)
    return _by_key(keys, snapshots)


def read_snapshots(
    change: Session | Direct,
    orders: Collection[Order],
    requests: Collection[RequestKey],
    now: datetime,
) -> tuple[dict[AccountKey, Snapshot], set[tuple[str, str]]]:
    """The same without locking anything on PostgreSQL: the accounts have versions instead.
    ``change``: a connection to PostgreSQL, or a session of SQLite.

    Also returns which of the requests were answered before, as pairs (scope, key).
    """
    if isinstance(change, Session):
        used = stored_answers.used(change, requests)
        return lock_snapshots(change, orders, now), used
    keys = _keys(orders)
    parameters = _parameters(keys) | stored_answers.keys_parameters(requests)
    rows = change.rows(_VERSIONS, parameters)
    snapshots = _snapshots((columns for _, _, *columns in rows), now)
    for row in rows:
        snapshots[row.organization_id].version = row.version
    used = {(scope, key) for scope, key in (rows[0].used or () if rows else ())}
    _read_reservations(change, orders, snapshots)
    return _by_key(keys, snapshots), used


def lock_accounts(
    session: Session, organization_ids: Collection[str], now: datetime
) -> dict[UUID, Snapshot]:
    """These accounts by id, locked until the transaction ends."""
    return _lock(session, {(None, organization_id) for organization_id in organization_ids}, now)


def _keys(orders: Iterable[Order]) -> set[AccountKey]:
    return {(order.provider_id, order.organization_id) for order in orders}


def _lock(session: Session, keys: Collection[AccountKey], now: datetime) -> dict[UUID, Snapshot]:
    if is_postgresql(session):
        return _snapshots(direct.rows(session, _LOCK, _parameters(keys)), now)
    # SQLite has no row locks: the transaction has locked the whole database.
    organization_ids = list({organization_id for _, organization_id in keys})
    rows = session.connection().execute(_READ, {"organizations": organization_ids})
    return _snapshots(([_uuid(row[0]), _uuid(row[1]), *row[2:]] for row in rows), now)


def _parameters(keys: Collection[AccountKey]) -> dict[str, Any]:
    ordered = list(keys)
    return {
        "any": str(_ANY),
        "organizations": array([_uuid(organization_id) for _, organization_id in ordered]),
        "providers": array([_uuid(provider_id) or _ANY for provider_id, _ in ordered]),
    }


def _by_key(
    keys: Iterable[AccountKey], snapshots: Mapping[UUID, Snapshot]
) -> dict[AccountKey, Snapshot]:
    locked = {}
    for provider_id, organization_id in keys:
        snapshot = snapshots.get(ids.to_uuid("org", organization_id))
        if snapshot is not None and _belongs(snapshot, provider_id):
            locked[provider_id, organization_id] = snapshot
    return locked


def _snapshots(rows: Iterable[Sequence[Any]], now: datetime) -> dict[UUID, Snapshot]:
    snapshots = {}
    for organization_id, provider_id, threshold, *columns in rows:
        snapshots[organization_id] = Snapshot.of(
            organization_id, provider_id, queries.low_threshold(threshold), columns, now
        )
    return snapshots


def _uuid(organization_id: str | None) -> UUID | None:
    return None if organization_id is None else ids.to_uuid("org", organization_id)


def _belongs(snapshot: Snapshot, provider_id: str | None) -> bool:
    return provider_id is None or snapshot.provider_id == _uuid(provider_id)


def _read_reservations(
    change: Session | Direct, orders: Iterable[Order], snapshots: Mapping[UUID, Snapshot]
) -> None:
    """Read those that the orders name, after their accounts are locked."""
    named = [
        (order.organization_id, order.command.reservation_id)
        for order in orders
        if isinstance(order.command, _OF_RESERVATIONS)
        and ids.is_id("res", order.command.reservation_id)
    ]
    if not named:
        return
    for held in queries.held(change, named):
        snapshot = snapshots.get(held.organization_id)
        if snapshot is not None:
            snapshot.reservations[held.id] = held
