"""Dead letters: messages that cannot be applied, kept with the reason until an operator redrives
them. Each producer has a limited number; beyond it a message is only counted, by
``RefusedDeadLetters``."""

import hashlib
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chassis.db import upserts
from chassis.messaging.envelope import MAX_SIZE, Undeliverable, writable
from chassis.messaging.inbox_models import DeadLetter, RefusedDeadLetters
from chassis.runtime import clock, ids, log

MAX_PER_PRODUCER = 1_000
NOT_OURS = ("forged", "undecodable", "bad_envelope", "too_large")
_WAITS = DeadLetter.redriven_at.is_(None)
_LOG = log.get("inbox")


def keep(
    session: Session,
    raw: bytes,
    problem: Undeliverable,
    *,
    published_by: str | None,
    attempts: int,
    now: datetime,
) -> None:
    """Keep the message as a dead letter, or note the new reason of the one it already is.

    ``published_by``: as for ``Inbox.receive``. The same bytes by another producer are another
    dead letter."""
    digest = hashlib.sha256(raw).digest()
    by_producer = DeadLetter.published_by.is_not_distinct_from(published_by)
    known = select(DeadLetter).where(DeadLetter.digest == digest, by_producer, _WAITS)
    dead = session.scalars(known.limit(1)).first()
    if dead is None:
        if published_by is not None and _has_reached_limit(session, published_by):
            _refuse(session, published_by, problem, digest, now)
            return
        dead = DeadLetter(id=ids.new("evt"), digest=digest, body=raw[:MAX_SIZE], size=len(raw))
        dead.published_by = published_by
        session.add(dead)
    dead.reason, dead.detail = problem.reason, writable(problem.detail)
    dead.attempts, dead.failed_at = attempts, now


def summaries(session: Session) -> list[str]:
    """The dead letters that were not redriven, oldest first, a line each; then how many messages
    of each producer were not stored."""
    lines = [
        f"{dead.id} {clock.stamp(dead.failed_at)} by {dead.published_by or 'an unknown producer'}, "
        f"{dead.reason}: {dead.detail}"
        for dead in session.scalars(select(DeadLetter).where(_WAITS).order_by(DeadLetter.failed_at))
    ]
    refused = select(RefusedDeadLetters).order_by(RefusedDeadLetters.published_by)
    return lines + [
        f"{row.times} messages by {row.published_by} were not stored, the last one "
        f"{clock.stamp(row.last_at)}, {row.reason}"
        for row in session.scalars(refused)
    ]


def to_redrive(session: Session, dead_letter_id: str | None) -> list[DeadLetter]:
    """The dead letters to redrive, oldest first: this one, or all that were kept whole, seem to be
    ours and whose producer is known. A forged one can be checked only if its producer is known."""
    wanted = select(DeadLetter).where(_WAITS, DeadLetter.size <= MAX_SIZE)
    is_known = DeadLetter.published_by.is_not(None)
    if dead_letter_id:
        wanted = wanted.where(
            DeadLetter.id == dead_letter_id, is_known | (DeadLetter.reason != "forged")
        )
    else:
        wanted = wanted.where(is_known, DeadLetter.reason.not_in(NOT_OURS))
    return list(session.scalars(wanted.order_by(DeadLetter.failed_at)))


def _has_reached_limit(session: Session, published_by: str) -> bool:
    theirs = select(DeadLetter.id).where(DeadLetter.published_by == published_by, _WAITS)
    counted = theirs.limit(MAX_PER_PRODUCER).subquery()
    number = session.scalar(select(func.count()).select_from(counted)) or 0
    return number >= MAX_PER_PRODUCER


def _refuse(
    session: Session, published_by: str, problem: Undeliverable, digest: bytes, now: datetime
) -> None:
    """Count the message without storing it."""
    _LOG.error("message.not_stored", published_by=published_by, digest=digest.hex())
    insert = upserts.insert(session, RefusedDeadLetters).values(
        published_by=published_by, times=1, reason=problem.reason, last_at=now
    )
    session.execute(
        insert.on_conflict_do_update(
            index_elements=["published_by"],
            set_={
                "times": RefusedDeadLetters.times + 1,
                "reason": problem.reason,
                "last_at": now,
            },
        )
    )
