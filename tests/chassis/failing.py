"""An inbox whose listener fails."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from chassis.db.database import Database
from chassis.messaging.inbox import Envelope, Inbox
from chassis.messaging.inbox_models import DeadLetter
from chassis.runtime import clock
from contracts import billing
from sqlalchemy.orm import Session

from tests.chassis.messages import note, rows


class FailingListener:
    """A listener that fails for some organizations."""

    def __init__(self, *failing_for: str) -> None:
        self.failing_for, self.calls = set(failing_for), 0
        self.exception: Callable[[str], Exception] = RuntimeError

    def __call__(self, session: Session, envelope: Envelope, *, organization_id: str) -> None:
        self.calls += 1
        note(session, envelope, organization_id=organization_id)
        session.flush()
        if organization_id in self.failing_for:
            raise self.exception(f"failing for {organization_id}")


def inbox_with(database: Database, listener: Any = note) -> Inbox:
    return Inbox(database, {billing.AccountOpened: listener})


def dead_letters(database: Database) -> list[tuple[str, str]]:
    return [(row.reason, row.detail) for row in rows(database, DeadLetter)]


def later(minutes: float = 24 * 60) -> Any:
    return clock.now() + timedelta(minutes=minutes)


def retry_until_done(inbox: Inbox, now: Any) -> int:
    """Retry as the job does: again while there is something due. Returns how many were tried."""
    total = 0
    while done := inbox.retry_due(now):
        total += done
        assert total < 1000, "the retries do not end"
    return total
