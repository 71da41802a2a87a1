"""Wrong guesses, counted one at a time in the database: all workers count together, a restart
forgets nothing."""

from datetime import datetime

from chassis import errors
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from membership.models import Guesses
from membership.values import attempt_limits
from membership.values.attempt_limits import Limit, Limits


class TooManyAttempts(errors.TooMany):
    code = "too_many_attempts"
    detail = "Too many failed attempts. Wait, then try again. You can reset a forgotten password."


def lock(session: Session, *, key: str, now: datetime) -> Guesses:
    """The row of these guesses, locked, so that a burst gets no more answers than guesses in a
    row."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    first = {"key": key, "total": 0, "recent": 0, "since": now, "last_at": now}
    find = (
        select(Guesses)
        .where(Guesses.key == key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    while (
        row := session.scalars(find).one_or_none()
    ) is None:  # again where it was forgotten while we waited
        session.execute(insert(Guesses).values(first).on_conflict_do_nothing())
    return row


def count(row: Guesses, *, limit: Limit, now: datetime) -> bool:
    """One more wrong guess; whether that makes so many since the first within that time."""
    if now - row.since > limit.within:
        row.recent = 0
    if row.recent == 0:
        row.since = now
    row.total, row.recent, row.last_at = row.total + 1, row.recent + 1, now
    return row.recent >= limit.most


def shut(row: Guesses, *, until: datetime) -> None:
    """No guess before that; the recent ones are done with."""
    row.shut_until, row.recent = until, 0


def left(row: Guesses, now: datetime) -> int:
    """Whole seconds for which it is still shut, 0 when it is not."""
    return attempt_limits.until(row.shut_until, now) if row.shut_until else 0


def stop(wait: int) -> None:
    """Raise TooManyAttempts unless the wait is over."""
    if wait:
        raise TooManyAttempts(retry_after=wait)


def check(session: Session, *, limits: Limits, now: datetime) -> None:
    """Raise TooManyAttempts where one of these is shut; they stay locked."""
    query = select(Guesses).where(Guesses.key.in_(limits)).order_by(Guesses.key).with_for_update()
    rows = session.scalars(query.execution_options(populate_existing=True)).all()
    stop(max((left(row, now) for row in rows), default=0))


def count_all(session: Session, *, limits: Limits, now: datetime) -> None:
    """One more wrong guess on each; who has made too many rests as long as they were counted
    for."""
    for key, limit in sorted(limits.items()):
        row = lock(session, key=key, now=now)
        if count(row, limit=limit, now=now):
            shut(row, until=now + limit.within)


def forget(session: Session, *, key: str) -> None:
    """Begin to count anew."""
    session.execute(delete(Guesses).where(Guesses.key == key))


def forget_all(session: Session, *, prefix: str) -> None:
    """Begin to count anew whatever is counted under keys that begin so."""
    session.execute(delete(Guesses).where(Guesses.key.startswith(prefix, autoescape=True)))
