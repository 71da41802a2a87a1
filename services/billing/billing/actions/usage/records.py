"""Usage by the batch: records that each count once for ever, decided one by one, written
together."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from chassis.runtime import ids
from sqlalchemy import case, select, text
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts
from billing.actions.ledger.bulk_sql import among, array, insert_rows, is_postgresql, update_rows
from billing.actions.reservations import expiry
from billing.models import Account, Entry, Spending, UnpublishedBalance
from billing.models.account_snapshot import SNAPSHOT_COLUMNS, AccountSnapshot
from billing.values import MAX_STORED, PREPAID, Code

ACCEPTED, DUPLICATE = "accepted", "duplicate"
_ACCOUNTS: Any = Account.__table__
_JOURNAL: Any = Entry.__table__
_SPENDINGS: Any = Spending.__table__
_UNPUBLISHED: Any = UnpublishedBalance.__table__
_COLUMNS = (
    "organization_id",
    "seq",
    "transaction_id",
    "part",
    "provider_id",
    "currency",
    "kind",
    "debit",
    "credit",
    "amount",
    "moved",
    "balance_after",
    "prepaid_after",
    "surplus_after",
    "unbilled_after",
    "invoiced_after",
    "held_after",
    "source",
    "description",
    "occurred_at",
    "posted_at",
)
_CHANGED = ("prepaid", "unbilled", "seq", "on_wallet")
# Many accounts a call: what goes to them and comes from them passes the types of SQLAlchemy by.
_LOCK = text(
    """
    SELECT n, {read}
    FROM unnest(CAST(:organizations AS uuid[]), CAST(:providers AS uuid[])) WITH ORDINALITY
        AS asked (organization_id, provider_id, n)
    JOIN accounts USING (organization_id, provider_id)
    ORDER BY organization_id FOR NO KEY UPDATE OF accounts
""".replace("{read}", ", ".join(SNAPSHOT_COLUMNS))
)
_KEEP = text("""
    WITH new AS (
        SELECT * FROM unnest(
            CAST(:id AS uuid[]), CAST(:prepaid AS bigint[]), CAST(:unbilled AS bigint[]), CAST(:seq AS bigint[]),
            CAST(:on_wallet AS bigint[]), CAST(:spent AS bigint[])
        ) AS new (organization_id, prepaid, unbilled, seq, on_wallet, spent)
    ), kept AS (
        UPDATE accounts
        SET prepaid = new.prepaid, unbilled = new.unbilled, seq = new.seq, on_wallet = new.on_wallet
        FROM new WHERE accounts.organization_id = new.organization_id
    ), spent AS (
        INSERT INTO spendings (organization_id, day, amount) SELECT organization_id, :day, spent FROM new
        ON CONFLICT (organization_id, day) DO UPDATE
        SET amount = least(spendings.amount, :most_kept - excluded.amount) + excluded.amount
    )
    INSERT INTO unsaid_figures SELECT organization_id FROM new ON CONFLICT DO NOTHING
""")


class UsageRecord(NamedTuple):
    """Something a customer used. ``id`` counts once per provider for ever; ``always``: it has
    already happened, so the limit does not count. Amounts in millionths."""

    provider_id: str
    id: str
    organization_id: str
    amount: int
    at: datetime
    description: str
    cost: int = 0
    always: bool = False


def record_usage(
    session: Session, *, records: Sequence[UsageRecord], now: datetime, copy: bool | None = None
) -> list[str]:
    """Post the records; for each, in their order: ``accepted``, ``duplicate``, or the code of why
    it is refused.

    A refused record changes nothing, and its id may be used again. Two transactions that post one id to different
    accounts at once: the later one ends in an IntegrityError and finds a duplicate when it is tried again.
    ``copy``: how rows are written, whatever their number."""
    snapshots = _locked(session, records, now)
    if _expire_due(session, snapshots, now):
        snapshots = _locked(session, records, now)
    known = _known(session, records)
    outcomes, rows = [], []
    for record in records:
        key, snapshot = (
            (record.provider_id, record.id),
            snapshots.get((record.provider_id, record.organization_id)),
        )
        earlier = known.get(key)
        if earlier is not None:
            outcomes.append(DUPLICATE if earlier == record[2:7] else "record_id_reused")
        elif snapshot is None:
            outcomes.append("organization_not_found")
        elif refusal := snapshot.refusal(record.amount, record.cost, always=record.always):
            outcomes.append(refusal)
        else:
            rows += _rows(snapshot, record, now)
            known[key] = record[2:7]
            outcomes.append(ACCEPTED)
    if rows:
        insert_rows(session, _JOURNAL, _COLUMNS, rows, copy=copy)
        changed = [snapshot for snapshot in snapshots.values() if snapshot.spent]
        _keep(session, changed, now)
        alerts.check_snapshot_thresholds(session, changed, now)
    return outcomes


def _locked(
    session: Session, records: Sequence[UsageRecord], now: datetime
) -> dict[tuple[str, str], AccountSnapshot]:
    """The accounts by provider and organization, locked in the order in which everybody locks
    several."""
    asked = list({(record.provider_id, record.organization_id) for record in records})
    if is_postgresql(session):
        providers, organizations = (
            array([ids.to_uuid("org", key[n]) for key in asked]) for n in (0, 1)
        )
        rows = session.connection().execute(
            _LOCK, {"organizations": organizations, "providers": providers}
        )
        found = {asked[n - 1]: row for n, *row in rows}
    else:
        columns = (
            _ACCOUNTS.c[name] for name in ("provider_id", "organization_id", *SNAPSHOT_COLUMNS)
        )
        known = select(*columns).where(
            _ACCOUNTS.c.organization_id.in_({organization for _, organization in asked})
        )
        found = {
            (provider, organization): row for provider, organization, *row in session.execute(known)
        }
    return {
        key: AccountSnapshot.of(ids.to_uuid("org", key[1]), ids.to_uuid("org", key[0]), row, now)
        for key, row in found.items()
    }


def _expire_due(
    session: Session, snapshots: dict[tuple[str, str], AccountSnapshot], now: datetime
) -> bool:
    """Let go of what reservations hold no longer, whether or not the clock has come to them;
    whether there was any."""
    holding = [
        organization_id for (_, organization_id), snapshot in snapshots.items() if snapshot.held
    ]
    due = {
        found.organization_id
        for found in queries.due_reservations(session, holding, now, expiry.MOST)
    }
    for organization_id in sorted(due):
        expiry.expire_due(session, queries.get_account(session, organization_id, lock=True), now)
    session.flush()
    return bool(due)


def _known(
    session: Session, records: Sequence[UsageRecord]
) -> dict[tuple[str, str], tuple[Any, ...]]:
    """What was recorded before under these ids, after the locks: by provider and id, what a record
    says."""
    known = {}
    for provider_id in {record.provider_id for record in records}:
        asked = {record.id for record in records if record.provider_id == provider_id}
        rows = session.execute(
            select(
                Entry.source,
                Entry.organization_id,
                Entry.amount,
                Entry.occurred_at,
                Entry.description,
                Entry.transaction_id,
            ).where(Entry.provider_id == provider_id, among(session, Entry.source, asked))
        ).all()
        costs = queries.provider_costs(
            session, [(row.organization_id, row.transaction_id) for row in rows]
        )
        for row in rows:
            known[provider_id, row.source] = (
                row.organization_id,
                row.amount,
                row.occurred_at,
                row.description,
                costs.get(row.transaction_id, 0),
            )
    return known


def _rows(snapshot: AccountSnapshot, record: UsageRecord, now: datetime) -> list[tuple[Any, ...]]:
    """Charge the account and answer the rows of the journal: the price, and what it costs the
    provider."""
    snapshot.charge(record.amount, record.cost)
    bucket = Code.PREPAID if snapshot.payment_mode == PREPAID else Code.UNBILLED
    legs: list[tuple[Any, ...]] = [
        (bucket, Code.REVENUE, record.amount, -record.amount, record.id, record.description)
    ]
    if record.cost:
        legs.append((Code.COST, Code.WALLET, record.cost, 0, None, None))
    transaction_id, rows = ids.new_uuid(), []
    for part, (debit, credit, amount, moved, source, description) in enumerate(legs):
        snapshot.seq += 1
        rows.append(
            (
                snapshot.id,
                snapshot.seq,
                transaction_id,
                part,
                snapshot.provider_id,
                snapshot.currency,
                "usage",
                int(debit),
                int(credit),
                amount,
                moved,
                snapshot.balance,
                snapshot.prepaid,
                snapshot.surplus,
                snapshot.unbilled,
                snapshot.invoiced,
                snapshot.held,
                source,
                description,
                record.at,
                now,
            )
        )
    return rows


def _keep(session: Session, changed: Sequence[AccountSnapshot], now: datetime) -> None:
    """Write the accounts back, note what they spent today, and have their figures said."""
    if is_postgresql(session):
        names = ("id", *_CHANGED, "spent")
        figures = {name: array([getattr(snapshot, name) for snapshot in changed]) for name in names}
        session.connection().execute(
            _KEEP, {**figures, "day": queries.utc_day(now), "most_kept": MAX_STORED}
        )
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
        [(s.id, queries.utc_day(now), s.spent) for s in changed],
        conflict=_add_to_the_day,
    )
    insert_rows(
        session,
        _UNPUBLISHED,
        ("organization_id",),
        [(s.id,) for s in changed],
        conflict=lambda statement: statement.on_conflict_do_nothing(),
    )


def _add_to_the_day(statement: Any) -> Any:
    known, new = _SPENDINGS.c.amount, statement.excluded.amount
    both = case((known > MAX_STORED - new, MAX_STORED), else_=known + new)
    return statement.on_conflict_do_update(
        index_elements=["organization_id", "day"], set_={"amount": both}
    )
