"""What billing does because it is time."""

from datetime import datetime

from chassis.service import Job
from chassis.sql import Database

from billing import actions


def end_limits(database: Database, now: datetime, settings: object) -> int:
    """Temporary limits have ended."""
    with database.transaction() as session:
        return actions.end_limits(session, now=now)


def count_days(database: Database, now: datetime, settings: object) -> int:
    """A day is over, and with it the pace of the last days is another."""
    with database.transaction() as session:
        return actions.count_days(session, now=now)

JOBS = (Job("end_limits", 5, end_limits), Job("count_days", 60, count_days))
