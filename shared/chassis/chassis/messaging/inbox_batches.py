"""Applying several messages of an inbox in one transaction, with few statements for all of them.

Only for messages that are in order, came once in the batch, and do not fail. Otherwise the
transaction is given up, and each message is applied in one of its own.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from contracts import Message
from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from chassis.db import upserts
from chassis.messaging import listeners, waiting
from chassis.messaging.envelope import Decoded, Envelope
from chassis.messaging.inbox_models import InboxRow, StreamPosition
from chassis.messaging.listeners import GroupListener, Listeners

# Seconds for all of them; afterwards each message gets a transaction of its own, so that rows are
# not locked for long.
MAX_SECONDS_TOGETHER = 2.0
# A locked row is to cost the other messages little time.
_LOCK_TIMEOUT = text("SET LOCAL lock_timeout = '200ms'")


class Received(NamedTuple):
    """A decoded message and its bytes."""

    decoded: Decoded
    raw: bytes

    @property
    def envelope(self) -> Envelope:
        return self.decoded.envelope


class Irregular(Exception):
    """One of the messages has to be applied on its own."""


def apply(session: Session, messages: Sequence[Received], listeners_: Listeners) -> None:
    """Apply the messages in this order, once each: those that were applied before are left out,
    and those behind a waiting one of their stream begin to wait. Raises Irregular, or what a
    listener raises."""
    if len({each.envelope.id for each in messages}) < len(messages):
        raise Irregular("one is twice in the batch")
    if upserts.is_postgresql(session):
        session.execute(_LOCK_TIMEOUT)
    new = _note(session, messages)
    behind = _behind(session, new)
    _let_wait(session, behind)
    waits = {each.envelope.id for each in behind}
    now = [each for each in new if each.envelope.id not in waits]
    if now:
        _advance(session, [each.envelope for each in now if each.decoded.message.ORDERED])
        _call(session, now, listeners_)


def _call(session: Session, messages: Sequence[Received], listeners_: Listeners) -> None:
    groups: dict[GroupListener, list[tuple[Envelope, Message]]] = {}
    deadline = time.monotonic() + MAX_SECONDS_TOGETHER
    for each in messages:
        if time.monotonic() > deadline:
            raise Irregular("together they take too long")
        envelope, message = each.envelope, each.decoded.message
        listener = listeners_[type(message)]
        if isinstance(listener, GroupListener):
            groups.setdefault(listener, []).append((envelope, message))
            continue
        _call_groups(session, groups)
        session.info.update(correlation=envelope.correlation, causation=envelope.id)
        listeners.call(listener, session, envelope, message)
    _call_groups(session, groups)


def _call_groups(
    session: Session, groups: dict[GroupListener, list[tuple[Envelope, Message]]]
) -> None:
    for listener, received in groups.items():
        listener.apply(session, received)
    groups.clear()


def _behind(session: Session, messages: Sequence[Received]) -> list[Received]:
    ordered = [each for each in messages if each.decoded.message.ORDERED]
    if not ordered:
        return []
    first = waiting.first_versions(session, [each.envelope for each in ordered])
    return [
        each
        for each in ordered
        if first.get((each.envelope.source, each.envelope.aggregate), each.envelope.version)
        < each.envelope.version
    ]


def _let_wait(session: Session, messages: Sequence[Received]) -> None:
    if messages:
        waiting.add_behind(session, [(each.decoded, each.raw) for each in messages])
        ids = [each.envelope.id for each in messages]
        session.execute(delete(InboxRow).where(InboxRow.id.in_(ids)))


def _note(session: Session, messages: Sequence[Received]) -> list[Received]:
    """Those of the messages that were not applied before."""
    insert = upserts.insert(session, InboxRow).on_conflict_do_nothing().returning(InboxRow.id)
    noted = session.connection().execute(
        insert,
        [
            {
                "id": each.envelope.id,
                "digest": each.decoded.digest,
                "heard_at": each.envelope.now,
            }
            for each in messages
        ],
    )
    new = set(noted.scalars())
    repeated = {
        each.envelope.id: each.decoded.digest for each in messages if each.envelope.id not in new
    }
    if repeated:
        known = select(InboxRow.id, InboxRow.digest).where(InboxRow.id.in_(repeated))
        if {row.id: row.digest for row in session.execute(known)} != repeated:
            raise Irregular("another message with this id was consumed before")
    return [each for each in messages if each.envelope.id in new]


def _advance(session: Session, envelopes: Sequence[Envelope]) -> None:
    if not envelopes:
        return
    reached = _positions(session, envelopes)
    for envelope in envelopes:
        stream = (envelope.source, envelope.aggregate)
        if envelope.version <= reached.get(stream, 0):
            raise Irregular("one is stale")
        reached[stream] = envelope.version
    moved = {(envelope.source, envelope.aggregate) for envelope in envelopes}
    insert = upserts.insert(session, StreamPosition)
    session.connection().execute(
        insert.on_conflict_do_update(
            index_elements=["source", "aggregate"], set_={"version": insert.excluded.version}
        ),
        [
            {"source": source, "aggregate": aggregate, "version": reached[source, aggregate]}
            for source, aggregate in sorted(moved)
        ],
    )


def _positions(session: Session, envelopes: Sequence[Envelope]) -> dict[tuple[str, str], int]:
    query = (
        select(StreamPosition.source, StreamPosition.aggregate, StreamPosition.version)
        .where(
            StreamPosition.source.in_({envelope.source for envelope in envelopes}),
            StreamPosition.aggregate.in_({envelope.aggregate for envelope in envelopes}),
        )
        .order_by(StreamPosition.source, StreamPosition.aggregate)
        .with_for_update()
    )
    return {(row.source, row.aggregate): row.version for row in session.execute(query)}
