"""The feed of revocations, which the gateway follows."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from chassis.db import upserts
from sqlalchemy.orm import Session

from membership.models import Counter, Revocation


def revoke(session: Session, *, kind: str, before: Mapping[str, datetime], now: datetime) -> None:
    """Revoke the tokens that were issued before these instants.

    ``before``: an instant for each id of a session (or API key), identity or member (``kind``)."""
    if not before:
        return
    first = _take_numbers(session, len(before))
    for seq, (key, instant) in enumerate(before.items(), start=first):
        session.add(Revocation(seq=seq, kind=kind, key=key, before=instant, at=now))


def until(now: datetime, issued: datetime | None) -> datetime:
    """An instant after now, and after any token issued by a clock slightly ahead of ours."""
    return max(now, (issued or now) + timedelta(microseconds=1))


def _take_numbers(session: Session, count: int) -> int:
    """The first of ``count`` numbers. The counter's row stays locked until the commit, so that
    numbers appear in order and a reader that has seen one has seen all before it."""
    first = upserts.insert(session, Counter).values(name="revocations", value=count)
    taken = session.execute(
        first.on_conflict_do_update(
            index_elements=["name"], set_={"value": Counter.value + count}
        ).returning(Counter.value)
    )
    return int(taken.scalar_one()) - count + 1
