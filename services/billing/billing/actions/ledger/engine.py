"""The posting engine: lock the accounts, decide, write.

A single request is a batch of one. However many orders there are, the accounts are locked with one
statement, and what was posted is written with one more.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from chassis.db.direct import Direct
from chassis.db.idempotency_keys import Answer, RequestKey
from chassis.db.stored_answers import Request
from chassis.runtime import failpoints
from sqlalchemy.orm import Session

from billing.actions.ledger import bulk_writes, locking
from billing.actions.ledger.entries import Posted, enter
from billing.actions.ledger.orders import Order
from billing.actions.ledger.records import KnownRecords, key_of, known_records
from billing.actions.ledger.refusals import failure
from billing.actions.reservations import expiry
from billing.models.decisions import Refusal, decide
from billing.models.snapshot import Snapshot

Outcome = Posted | Refusal
NO_ACCOUNT = Refusal("organization_not_found")


def post(session: Session, orders: Sequence[Order], *, now: datetime) -> list[Outcome]:
    """Post what the accounts admit, one order after the other; returns the outcome of each.

    A refused order changes nothing. Reservations that have expired are released first where an
    account lacks credits.
    """
    snapshots = locking.lock_snapshots(session, orders, now)
    known = known_records(session, orders)
    outcomes: list[Outcome] = []
    expired: dict[UUID, list[Posted]] = {}
    for order in orders:
        snapshot = snapshots.get((order.provider_id, order.organization_id))
        outcome = _admit(order, snapshot, known, now)
        if (
            isinstance(outcome, Refusal)
            and outcome.missing > 0
            and outcome.held
            and snapshot is not None
            and snapshot.id not in expired
        ):
            expired[snapshot.id] = expiry.expire_on_snapshot(session, snapshot, now)
            outcome = _admit(order, snapshot, known, now)
        outcomes.append(outcome)
    posted = [each for group in expired.values() for each in group]
    posted += [outcome for outcome in outcomes if isinstance(outcome, Posted)]
    bulk_writes.write(session, posted, now=now)
    return outcomes


def post_group(
    change: Session | Direct, requests: Sequence[Request], *, now: datetime
) -> list[Answer | None]:
    """Post what concurrent requests ask for and store their answers; returns the answer to each.

    None for what has to be done on its own, and is not done here: the key was used before, the
    account refuses, is locked or was changed meanwhile, or credits run low.
    """
    snapshots, used = locking.read_snapshots(
        change, [each.command for each in requests], [each.key for each in requests], now
    )
    posted: list[Posted] = []
    answers: list[tuple[UUID, RequestKey, Answer] | None] = []
    nothing_known = KnownRecords()
    for order, key, answer in requests:
        snapshot = snapshots.get((order.provider_id, order.organization_id))
        answered = None
        if snapshot is not None and (key.scope, key.key) not in used:
            outcome = _admit(order, snapshot, nothing_known, now)
            if isinstance(outcome, Posted):
                used.add((key.scope, key.key))
                posted.append(outcome)
                answered = (snapshot.id, key, answer(outcome))
        answers.append(answered)
    failpoints.hit("application.before_commit")
    stored = bulk_writes.write_unchanged(
        change, posted, [each for each in answers if each is not None], now=now
    )
    return [each[2] if each is not None and each[0] in stored else None for each in answers]


def post_one(session: Session, order: Order, *, now: datetime) -> Posted:
    """Post what the order asks for. Raises the error that a refusal stands for."""
    [outcome] = post(session, [order], now=now)
    if isinstance(outcome, Refusal):
        raise failure(session, order.organization_id, outcome)
    return outcome


def _admit(order: Order, snapshot: Snapshot | None, known: KnownRecords, now: datetime) -> Outcome:
    key = key_of(order)
    repeated = None if key is None else known.refusal(key, order)
    if repeated is not None:
        return repeated
    if snapshot is None:
        return NO_ACCOUNT
    decision = decide(snapshot, order.command, now)
    if isinstance(decision, Refusal):
        return decision
    if key is not None:
        known.add(key, order)
    return enter(snapshot, decision, by=order.by, now=now)
