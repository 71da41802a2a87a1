"""The journal rows of a posting."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from chassis.auth.actor import Actor
from chassis.runtime import ids

from billing.models.decisions import Posting
from billing.models.figures import BucketValues
from billing.models.journal import Row
from billing.models.snapshot import Snapshot
from billing.values import SPENDING_KINDS

# What only the first row of a posting has: the id of its usage record, its description, who posted
# it (two columns) and its reservation.
_NO_NOTES = (None, None, None, None, None)


class Posted(NamedTuple):
    """A transaction and its rows."""

    snapshot: Snapshot
    posting: Posting
    rows: list[Row]


def enter(snapshot: Snapshot, posting: Posting, *, by: Actor, now: datetime) -> Posted:
    """Move the amounts on the snapshot, and make the rows that say so.

    ``moved``, the description and who it was are on the first row only.
    """
    net = snapshot.net
    buckets = [snapshot.post(transfer) for transfer in posting.transfers]
    moved = snapshot.net - net
    rows = _rows(snapshot, posting, buckets, moved, by, now)
    snapshot.seq += len(rows)
    usable = snapshot.usable
    snapshot.usable_before = max(snapshot.usable_before, usable)
    if posting.kind in SPENDING_KINDS:
        snapshot.spent -= moved
    if posting.held is not None:
        snapshot.reservations[posting.held.id] = posting.held
    return Posted(snapshot, posting, rows)


def _rows(
    snapshot: Snapshot,
    posting: Posting,
    after: Sequence[BucketValues],
    moved: int,
    by: Actor,
    now: datetime,
) -> list[Row]:
    """``after``: the buckets after each transfer."""
    kind, transfers, description, source, occurred_at, held = posting
    reservation_id = None if held is None else ids.to_uuid("res", held.id)
    notes: tuple[Any, ...] = (source, description, by.kind, by.id, reservation_id)
    transaction_id, balance, part = ids.new_uuid(), snapshot.balance, 0
    rows = []
    for transfer, buckets in zip(transfers, after, strict=True):
        debit, credit, amount, invoice_id, _ = transfer
        values = (
            snapshot.id,
            snapshot.seq + part + 1,
            transaction_id,
            part,
            snapshot.provider_id,
            snapshot.currency,
            kind,
            int(debit),
            int(credit),
            amount,
            moved,
            balance,
            *buckets,
            occurred_at or now,
            now,
            *notes,
            None if invoice_id is None else ids.to_uuid("inv", invoice_id),
        )
        rows.append(Row._make(values))
        part, moved, notes = part + 1, 0, _NO_NOTES
    return rows
