"""What a transaction collects while it runs and writes at its end.

Some rows are locked by almost every transaction: the head of an organization's audit chain and the
stream of an aggregate. They are locked only here, right before the commit and always in the same
order, so that two transactions never deadlock and code that publishes need not know the order.
"""

from enum import IntEnum
from typing import Protocol, TypeVar

from sqlalchemy.orm import Session


class LockOrder(IntEnum):
    """Which rows are locked first at the end of a transaction."""

    AUDIT_CHAINS = 1
    OUTBOX_STREAMS = 2


class Collector(Protocol):
    """Something that collects during a transaction. It is created once per session, when it is
    first asked for."""

    lock_order: LockOrder

    def write(self, session: Session) -> None:
        """Write what was collected since the last call, locking rows in one order."""
        ...


C = TypeVar("C", bound=Collector)


def collector(session: Session, kind: type[C]) -> C:
    """The session's collector of this kind."""
    collectors: dict[type[Collector], Collector] = session.info.setdefault("collectors", {})
    if kind not in collectors:
        collectors[kind] = kind()
    collected = collectors[kind]
    assert isinstance(collected, kind)
    return collected


def write_collected(session: Session) -> None:
    """Flush the session, then let each collector write. ``Database.transaction`` calls it."""
    session.flush()
    collectors: dict[type[Collector], Collector] = session.info.get("collectors", {})
    for each in sorted(collectors.values(), key=lambda collector: collector.lock_order):
        each.write(session)
