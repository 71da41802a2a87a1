"""The progress of a reconciliation pass."""

from datetime import datetime

from chassis.runtime import log
from sqlalchemy import ColumnElement, delete
from sqlalchemy.orm import Session

from org import queries
from org.models import Check, ReconciliationPass
from org.values.comparison import Comparison

_LOG = log.get("reconciliation")


def advance_pass(
    session: Session,
    current: ReconciliationPass,
    *,
    compared: Comparison,
    checked: int,
    now: datetime,
) -> None:
    """A page was compared; without further ones the pass has finished."""
    current = session.merge(current)
    current.after = compared.until
    current.organizations += compared.organizations
    current.checked += checked
    if compared.until is None:
        current.finished_at = now
        _finish(session, current, now)


def _finish(session: Session, finished: ReconciliationPass, now: datetime) -> None:
    delete_unanswered(session, queries.unanswered(now))
    _LOG.info(
        "reconciliation.finished",
        organizations=finished.organizations,
        checked=finished.checked,
        differences=queries.count_differences(session),
    )


def delete_unanswered(session: Session, which: ColumnElement[bool]) -> None:
    """Delete those checks, whose reply should have arrived, and log them."""
    unanswered = session.execute(
        delete(Check).where(which).returning(Check.organization_id, Check.service)
    ).all()
    for organization_id, service in unanswered:
        _LOG.error("reconciliation.unanswered", organization_id=organization_id, service=service)
