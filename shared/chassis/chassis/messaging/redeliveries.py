"""Messages that the broker delivers again, because a process or its connection ended with them.

One that comes for the second time may only have been held together with one that kills the process:
it is noted. If it happens again, each of them is applied alone, and counted.
"""

from collections.abc import Sequence

from sqlalchemy import select

from chassis.db.database import Database
from chassis.messaging.inbox_models import Redelivery
from chassis.runtime import clock


def suspects(database: Database, redelivered: Sequence[str]) -> set[str]:
    """Those of the redelivered messages that were noted before."""
    if not redelivered:
        return set()
    with database.reading() as session:
        return set(session.scalars(select(Redelivery.id).where(Redelivery.id.in_(redelivered))))


def note(database: Database, redelivered: Sequence[str]) -> None:
    """Note that these messages come for the second time."""
    if redelivered:
        now = clock.now()
        with database.transaction() as session:
            session.add_all(Redelivery(id=each, times=1, last_at=now) for each in redelivered)
