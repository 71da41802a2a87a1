"""Dead letters: messages that cannot be applied, kept with the reason until an operator redrives
them."""

import hashlib
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from chassis.messaging.envelope import MAX_SIZE, Undeliverable, writable
from chassis.messaging.inbox_models import DeadLetter
from chassis.runtime import clock, ids


def keep(
    session: Session, raw: bytes, problem: Undeliverable, *, attempts: int, now: datetime
) -> None:
    """Keep the message as a dead letter, or note the new reason of the one it already is."""
    digest = hashlib.sha256(raw).digest()
    known = select(DeadLetter).where(DeadLetter.digest == digest, DeadLetter.redriven_at.is_(None))
    dead = session.scalars(known.limit(1)).first()
    if dead is None:
        dead = DeadLetter(id=ids.new("evt"), digest=digest, body=raw[:MAX_SIZE], size=len(raw))
        session.add(dead)
    dead.reason, dead.detail = problem.reason, writable(problem.detail)
    dead.attempts, dead.failed_at = attempts, now


def summaries(session: Session) -> list[str]:
    """The dead letters that were not redriven, oldest first, a line each."""
    waiting = select(DeadLetter).where(DeadLetter.redriven_at.is_(None))
    return [
        f"{dead.id} {clock.stamp(dead.failed_at)} {dead.reason}: {dead.detail}"
        for dead in session.scalars(waiting.order_by(DeadLetter.failed_at))
    ]


def to_redrive(session: Session, dead_letter_id: str | None) -> list[DeadLetter]:
    """The dead letters to redrive, oldest first: this one, or all that were kept whole."""
    wanted = select(DeadLetter).where(DeadLetter.redriven_at.is_(None), DeadLetter.size <= MAX_SIZE)
    if dead_letter_id:
        wanted = wanted.where(DeadLetter.id == dead_letter_id)
    return list(session.scalars(wanted.order_by(DeadLetter.failed_at)))
