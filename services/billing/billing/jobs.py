"""What billing does because it is time."""

from datetime import datetime

from chassis.db.database import Database
from chassis.errors import Conflict
from chassis.runtime import log
from chassis.runtime.service import Job

from billing import actions, queries

_LOG = log.get("billing")


def expire_credit_limits(database: Database, now: datetime, settings: object) -> int:
    """Temporary limits have ended."""
    with database.transaction() as session:
        return actions.expire_credit_limits(session, now=now)


def recount_days_to_empty(database: Database, now: datetime, settings: object) -> int:
    """A day is over, and with it the pace of the last days is another."""
    with database.transaction() as session:
        return actions.recount_days_to_empty(session, now=now)


def expire_reservations(database: Database, now: datetime, settings: object) -> int:
    """The time of reservations is over."""
    with database.transaction() as session:
        return actions.expire_reservations(session, now=now)


def publish_balances(database: Database, now: datetime, settings: object) -> int:
    """Figures have changed. Answers nothing unless there is more to say than fits into one turn: a
    busy account is said a few times a second, not as often as it changes."""
    with database.reading() as session:
        unsaid = queries.unpublished_balances(session)
    if unsaid:
        with database.transaction() as session:
            said = actions.publish_balances(session, organization_ids=unsaid, now=now)
        return said if len(unsaid) == queries.BATCH_SIZE else 0
    return 0


def publish_low_credits(database: Database, now: datetime, settings: object) -> int:
    """Credits ran low."""
    with database.transaction() as session:
        return actions.publish_low_credits(session)


def run_auto_top_ups(database: Database, now: datetime, settings: object) -> int:
    """Automatic top-ups are due."""
    with database.reading() as session:
        due = queries.due_top_ups(session, now)
    return sum(_top_up(database, now, organization_id) for organization_id in due)


def _top_up(database: Database, now: datetime, organization_id: str) -> int:
    """A refused one leaves nothing behind, so that it failed is noted by itself."""
    try:
        with database.transaction() as session:
            actions.run_auto_top_up(session, organization_id=organization_id, now=now)
    except Conflict as why:
        with database.transaction() as session:
            actions.record_failed_top_up(session, organization_id=organization_id, why=why, now=now)
    except Exception:
        _LOG.error("top_up.failed", organization_id=organization_id, exc_info=True)
        return 0
    return 1


def audit_ledger(database: Database, now: datetime, settings: object) -> int:
    """The auditor takes its next piece of the books; small ones one after the other, large ones
    each at its turn."""
    with database.reading(snapshot=True) as session:
        piece = queries.audit_next_batch(session, now)
    if piece is None:
        return 0
    with database.transaction() as session:
        actions.record_audit_batch(session, piece=piece, now=now)
    return int(piece.is_small)


def run_billing(database: Database, now: datetime, settings: object) -> int:
    """Months are over, each in its own time zone, and what is unbilled from them becomes due. Where
    one of many accounts fails, the others are done one by one."""
    try:
        with database.transaction() as session:
            return actions.run_billing(session, now=now)
    except Exception:
        _LOG.warning("months.failed", exc_info=True)
    with database.reading() as session:
        ended = queries.organizations_to_bill(session, now)
    return sum(_end_month(database, now, organization_id) for organization_id in ended)


def _end_month(database: Database, now: datetime, organization_id: str) -> int:
    try:
        with database.transaction() as session:
            return actions.run_billing(session, now=now, only=organization_id)
    except Exception:
        _LOG.error("month.failed", organization_id=organization_id, exc_info=True)
        return 0


def flag_overdue_invoices(database: Database, now: datetime, settings: object) -> int:
    """The last day to pay an invoice is over."""
    with database.transaction() as session:
        return actions.flag_overdue_invoices(session, now=now)


JOBS = (
    Job("expire_credit_limits", 5, expire_credit_limits),
    Job("recount_days_to_empty", 60, recount_days_to_empty),
    Job("expire_reservations", 1, expire_reservations),
    Job("publish_balances", 0.2, publish_balances),
    Job("publish_low_credits", 1, publish_low_credits),
    Job("run_auto_top_ups", 1, run_auto_top_ups),
    Job("audit_ledger", 5, audit_ledger, "audit"),
    Job("run_billing", 5, run_billing, "billing"),
    Job("flag_overdue_invoices", 5, flag_overdue_invoices),
)
