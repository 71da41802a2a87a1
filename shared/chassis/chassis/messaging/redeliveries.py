"""Messages that the broker delivers again, because a process or its connection ended with them."""

from collections.abc import Sequence

from sqlalchemy import select

from chassis.db.database import Database
from chassis.messaging.inbox_models import Redelivery
from chassis.runtime import clock


def suspects(database: Database, redelivered: Sequence[str]) -> set[str]:
    """Those of the redelivered messages that come for the third time or more; the others are noted.
    A message that comes for the second time may only have been held together with one that kills
    the process; if that happens again, each of them is applied alone."""
    if not redelivered:
        return set()
    with database.transaction() as session:
        known = set(session.scalars(select(Redelivery.id).where(Redelivery.id.in_(redelivered))))
        now = clock.now()
        session.add_all(
            Redelivery(id=message_id, times=1, last_at=now)
            for message_id in redelivered
            if message_id not in known
        )
    return known
