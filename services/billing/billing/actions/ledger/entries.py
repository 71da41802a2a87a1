"""The journal rows of a posting."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from chassis.auth.actor import Actor
from chassis.runtime import ids

from billing.models.decisions import Posting
from billing.models.journal import Row
from billing.models.snapshot import Snapshot
from billing.values import SPENDING_KINDS

Buckets = tuple[int, int, int, int, int]


class Posted(NamedTuple):
    """A transaction and its rows."""

    snapshot: Snapshot
    posting: Posting
    rows: list[Row]


def enter(snapshot: Snapshot, posting: Posting, *, by: Actor, now: datetime) -> Posted:
    """Move the amounts on the snapshot, and make the rows that say so.

    ``moved``, the description and who it was are on the first row only.
    """
    net, after = snapshot.net, []
    for transfer in posting.transfers:
        snapshot.post(transfer)
        after.append(
            (
                snapshot.prepaid,
                snapshot.surplus,
                snapshot.unbilled,
                snapshot.invoiced,
                snapshot.held,
            )
        )
    moved = snapshot.net - net
    rows = _rows(snapshot, posting, after, moved, by, now)
    snapshot.seq += len(rows)
    snapshot.usable_before = max(snapshot.usable_before, snapshot.usable)
    if posting.kind in SPENDING_KINDS:
        snapshot.spent -= moved
    if posting.held is not None:
        snapshot.reservations[posting.held.id] = posting.held
    return Posted(snapshot, posting, rows)


def _rows(
    snapshot: Snapshot,
    posting: Posting,
    after: Sequence[Buckets],
    moved: int,
    by: Actor,
    now: datetime,
) -> list[Row]:
    """``after``: the buckets after each transfer."""
    held, balance = posting.held, snapshot.balance
    transaction_id, occurred_at = ids.new_uuid(), posting.occurred_at or now
    rows = []
    for part, (transfer, buckets) in enumerate(zip(posting.transfers, after, strict=True)):
        is_first = part == 0
        rows.append(
            Row(
                snapshot.id,
                snapshot.seq + part + 1,
                transaction_id,
                part,
                snapshot.provider_id,
                snapshot.currency,
                posting.kind,
                int(transfer.debit),
                int(transfer.credit),
                transfer.amount,
                moved if is_first else 0,
                balance,
                *buckets,
                occurred_at,
                now,
                posting.source if is_first else None,
                posting.description if is_first else None,
                by.kind if is_first else None,
                by.id if is_first else None,
                ids.to_uuid("res", held.id) if held is not None and is_first else None,
            )
        )
    return rows
