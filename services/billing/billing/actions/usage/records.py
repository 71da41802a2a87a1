"""Recording usage in batches.

Each record counts once and is decided on its own; all accepted ones are written together.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from chassis.auth.actor import Actor
from chassis.runtime import ids
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts
from billing.actions.ledger.bulk_sql import among, insert_rows
from billing.actions.reservations import expiry
from billing.actions.usage.accounts import lock_snapshots, store_snapshots
from billing.models import Entry
from billing.models.account_snapshot import AccountSnapshot
from billing.values import PREPAID, Code

ACCEPTED, DUPLICATE = "accepted", "duplicate"
_JOURNAL: Any = Entry.__table__
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
    "actor_kind",
    "actor_id",
    "occurred_at",
    "posted_at",
)


class UsageRecord(NamedTuple):
    """Usage of a customer; amounts in millionths.

    ``id`` counts once per provider, permanently. ``always``: it has already happened, so the credit
    limit does not apply.
    """

    provider_id: str
    id: str
    organization_id: str
    amount: int
    at: datetime
    description: str
    cost: int = 0
    always: bool = False

    @property
    def content(self) -> tuple[Any, ...]:
        """What must be the same if the record is sent again."""
        return self[2:7]


def record_usage(
    session: Session,
    *,
    records: Sequence[UsageRecord],
    now: datetime,
    by: Actor,
    copy: bool | None = None,
) -> list[str]:
    """Post the records. Returns for each, in order, ``accepted``, ``duplicate`` or why it is
    refused.

    A refused record changes nothing, and its id may be used again. If two transactions post the
    same id to different accounts at once, the later one ends in an IntegrityError and finds a
    duplicate when it is tried again. ``copy`` forces COPY on or off, whatever the number of rows.
    """
    keys = list({(record.provider_id, record.organization_id) for record in records})
    snapshots = lock_snapshots(session, keys, now)
    if _expire_due(session, snapshots, now):
        snapshots = lock_snapshots(session, keys, now)
    known, actor = _known(session, records), (by.kind, by.id)
    outcomes, rows = [], []
    for record in records:
        snapshot = snapshots.get((record.provider_id, record.organization_id))
        earlier = known.get((record.provider_id, record.id))
        outcome = _decide(record, snapshot, earlier)
        if outcome == ACCEPTED and snapshot is not None:
            rows += _rows(snapshot, record, now, actor)
            known[record.provider_id, record.id] = record.content
        outcomes.append(outcome)
    if rows:
        insert_rows(session, _JOURNAL, _COLUMNS, rows, copy=copy)
        changed = [snapshot for snapshot in snapshots.values() if snapshot.spent]
        store_snapshots(session, changed, now)
        alerts.check_snapshot_thresholds(session, changed, now)
    return outcomes


def _decide(
    record: UsageRecord, snapshot: AccountSnapshot | None, earlier: tuple[Any, ...] | None
) -> str:
    if earlier is not None:
        return DUPLICATE if earlier == record.content else "record_id_reused"
    if snapshot is None:
        return "organization_not_found"
    refusal = snapshot.refusal(record.amount, record.cost, always=record.always)
    return refusal or ACCEPTED


def _expire_due(
    session: Session, snapshots: dict[tuple[str, str], AccountSnapshot], now: datetime
) -> bool:
    """Release expired reservations that the job has not come to; returns whether there were any."""
    holding = [
        organization_id for (_, organization_id), snapshot in snapshots.items() if snapshot.held
    ]
    due = queries.due_reservations(session, holding, now, expiry.MAX_AT_ONCE)
    organization_ids = {reservation.organization_id for reservation in due}
    for organization_id in sorted(organization_ids):
        account = queries.get_account(session, organization_id, lock=True)
        expiry.expire_due(session, account, now)
    session.flush()
    return bool(organization_ids)


def _known(
    session: Session, records: Sequence[UsageRecord]
) -> dict[tuple[str, str], tuple[Any, ...]]:
    """The content of records posted earlier under these ids, by (provider, id).

    Read after the accounts are locked.
    """
    known = {}
    for provider_id in {record.provider_id for record in records}:
        record_ids = {record.id for record in records if record.provider_id == provider_id}
        rows = session.execute(
            select(
                Entry.source,
                Entry.organization_id,
                Entry.amount,
                Entry.occurred_at,
                Entry.description,
                Entry.transaction_id,
            ).where(Entry.provider_id == provider_id, among(session, Entry.source, record_ids))
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


def _rows(
    snapshot: AccountSnapshot, record: UsageRecord, now: datetime, actor: tuple[str, str]
) -> list[tuple[Any, ...]]:
    """Charge the snapshot; returns the journal rows of the price and of the provider's cost."""
    snapshot.charge(record.amount, record.cost)
    bucket = Code.PREPAID if snapshot.payment_mode == PREPAID else Code.UNBILLED
    legs: list[tuple[Any, ...]] = [
        (bucket, Code.REVENUE, record.amount, -record.amount, record.id, record.description, *actor)
    ]
    if record.cost:
        legs.append((Code.COST, Code.WALLET, record.cost, 0, None, None, None, None))
    transaction_id = ids.new_uuid()
    rows = []
    for part, (debit, credit, amount, moved, *only_first) in enumerate(legs):
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
                *only_first,
                record.at,
                now,
            )
        )
    return rows
