"""What billing does because it is time."""

from datetime import datetime

from chassis.db.database import Database
from chassis.errors import Conflict
from chassis.runtime import log
from chassis.runtime.service import Job

from billing import actions, queries

_LOG = log.get("billing")


def end_limits(database: Database, now: datetime, settings: object) -> int:
    """Temporary limits have ended."""
    with database.transaction() as session:
        return actions.end_limits(session, now=now)


def count_days(database: Database, now: datetime, settings: object) -> int:
    """A day is over, and with it the pace of the last days is another."""
    with database.transaction() as session:
        return actions.count_days(session, now=now)


def expire_reservations(database: Database, now: datetime, settings: object) -> int:
    """The time of reservations is over."""
    with database.transaction() as session:
        return actions.expire_reservations(session, now=now)


def say_figures(database: Database, now: datetime, settings: object) -> int:
    """Figures have changed. Answers nothing unless there is more to say than fits into one turn: a
    busy account is said a few times a second, not as often as it changes."""
    with database.reading() as session:
        unsaid = queries.unsaid_figures(session)
    if unsaid:
        with database.transaction() as session:
            said = actions.say_figures(session, organization_ids=unsaid, now=now)
        return said if len(unsaid) == queries.MOST_AT_ONCE else 0
    return 0


def tell_of_low_credits(database: Database, now: datetime, settings: object) -> int:
    """Credits ran low."""
    with database.transaction() as session:
        return actions.tell_of_low_credits(session)


def top_up_automatically(database: Database, now: datetime, settings: object) -> int:
    """Automatic top-ups are due."""
    with database.reading() as session:
        due = queries.due_top_ups(session, now)
    return sum(_top_up(database, now, organization_id) for organization_id in due)


def _top_up(database: Database, now: datetime, organization_id: str) -> int:
    """A refused one leaves nothing behind, so that it failed is noted by itself."""
    try:
        with database.transaction() as session:
            actions.top_up_automatically(session, organization_id=organization_id, now=now)
    except Conflict as why:
        with database.transaction() as session:
            actions.record_failed_top_up(session, organization_id=organization_id, why=why, now=now)
    except Exception:
        _LOG.error("top_up.failed", organization_id=organization_id, exc_info=True)
        return 0
    return 1


def prove_ledger(database: Database, now: datetime, settings: object) -> int:
    """The auditor takes its next piece of the books; small ones one after the other, large ones
    each at its turn."""
    with database.reading(snapshot=True) as session:
        piece = queries.prove_next(session, now)
    if piece is None:
        return 0
    with database.transaction() as session:
        actions.keep_proof(session, piece=piece, now=now)
    return int(piece.is_small)


def end_months(database: Database, now: datetime, settings: object) -> int:
    """Months are over, each in its own time zone, and what is unbilled from them becomes due. Where
    one of many accounts fails, the others are done one by one."""
    try:
        with database.transaction() as session:
            return actions.end_months(session, now=now)
    except Exception:
        _LOG.warning("months.failed", exc_info=True)
    with database.reading() as session:
        ended = queries.organizations_of_ended_months(session, now)
    return sum(_end_month(database, now, organization_id) for organization_id in ended)


def _end_month(database: Database, now: datetime, organization_id: str) -> int:
    try:
        with database.transaction() as session:
            return actions.end_months(session, now=now, only=organization_id)
    except Exception:
        _LOG.error("month.failed", organization_id=organization_id, exc_info=True)
        return 0


def note_overdue(database: Database, now: datetime, settings: object) -> int:
    """The last day to pay an invoice is over."""
    with database.transaction() as session:
        return actions.note_overdue(session, now=now)


JOBS = (
    Job("end_limits", 5, end_limits),
    Job("count_days", 60, count_days),
    Job("expire_reservations", 1, expire_reservations),
    Job("say_figures", 0.2, say_figures),
    Job("tell_of_low_credits", 1, tell_of_low_credits),
    Job("top_up_automatically", 1, top_up_automatically),
    Job("prove_ledger", 5, prove_ledger, "books"),
    Job("end_months", 5, end_months, "months"),
    Job("note_overdue", 5, note_overdue),
)
