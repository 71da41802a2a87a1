"""The journal rows of a posting."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from chassis.auth.actor import Actor
from chassis.runtime import ids

from billing.models.decisions import Posting
from billing.models.journal import Row
from billing.models.snapshot import Snapshot
from billing.values import SPENDING_KINDS, Transfer


class Posted(NamedTuple):
    """A transaction and its rows."""

    snapshot: Snapshot
    posting: Posting
    rows: list[Row]


def enter(snapshot: Snapshot, posting: Posting, *, by: Actor, now: datetime) -> Posted:
    """Move the amounts on the snapshot, and make the rows that say so.

    ``moved``, the description and who it was are on the first row only.
    """
    transaction_id, net = ids.new_uuid(), snapshot.net
    steps = []
    for transfer in posting.transfers:
        snapshot.post(transfer)
        steps.append((transfer, _buckets(snapshot)))
    moved, held = snapshot.net - net, posting.held
    reservation_id = None if held is None else ids.to_uuid("res", held.id)
    only_first = (
        posting.source,
        posting.description,
        by.kind,
        by.id,
        reservation_id,
    )
    rows = []
    for part, (transfer, buckets) in enumerate(steps):
        key = (snapshot.seq + part + 1, transaction_id, part)
        some = (0, ()) if part else (moved, only_first)
        rows.append(_row(snapshot, posting, key, transfer, buckets, now, *some))
    snapshot.seq += len(rows)
    snapshot.usable_before = max(snapshot.usable_before, snapshot.usable)
    if posting.kind in SPENDING_KINDS:
        snapshot.spent -= moved
    if held is not None:
        snapshot.reservations[held.id] = held
    return Posted(snapshot, posting, rows)


def _buckets(snapshot: Snapshot) -> tuple[int, int, int, int, int]:
    return (
        snapshot.prepaid,
        snapshot.surplus,
        snapshot.unbilled,
        snapshot.invoiced,
        snapshot.held,
    )


def _row(
    snapshot: Snapshot,
    posting: Posting,
    key: tuple[int, UUID, int],
    transfer: Transfer,
    buckets: tuple[int, int, int, int, int],
    now: datetime,
    moved: int,
    only_first: tuple[Any, ...],
) -> Row:
    return Row(
        snapshot.id,
        *key,
        snapshot.provider_id,
        snapshot.currency,
        posting.kind,
        int(transfer.debit),
        int(transfer.credit),
        transfer.amount,
        moved,
        snapshot.balance,
        *buckets,
        posting.occurred_at or now,
        now,
        *only_first,
    )
