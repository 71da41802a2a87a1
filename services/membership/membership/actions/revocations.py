"""What the gateway is told to refuse."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from membership.models import Counter, Revocation


def revoke(session: Session, *, kind: str, before: Mapping[str, datetime], now: datetime) -> None:
    """Have the tokens refused that were issued before these instants, by the ids of what they are
    of: sessions (or API keys), identities or members (``kind``)."""
    first = _take_numbers(session, len(before)) if before else 0
    for seq, (key, instant) in enumerate(before.items(), start=first):
        session.add(Revocation(seq=seq, kind=kind, key=key, before=instant, at=now))


def until(now: datetime, issued: datetime | None) -> datetime:
    """An instant after now, and after a token that a clock a little ahead of ours may have
    issued."""
    return max(now, (issued or now) + timedelta(microseconds=1))


def _take_numbers(session: Session, count: int) -> int:
    """The first of so many numbers. The counter's row stays locked until the commit, so that
    numbers appear in their order and a reader that has seen one has seen all before it."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    first = insert(Counter).values(name="revocations", value=count)
    taken = session.execute(
        first.on_conflict_do_update(
            index_elements=["name"], set_={"value": Counter.value + count}
        ).returning(Counter.value)
    )
    return int(taken.scalar_one()) - count + 1
