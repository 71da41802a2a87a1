"""What the clock does for sagas: purge what is due, send unanswered requests again."""

from datetime import datetime

from chassis.runtime import log
from sqlalchemy.orm import Session

from org import queries
from org.sagas.progress import send_request
from org.sagas.start import start_purge

ALARM_AFTER = 3
_LOG = log.get("sagas")


def purge_due(session: Session, *, now: datetime, limit: int = 20) -> int:
    """Start the purge of the deletions that are due; returns how many."""
    deletions = queries.deletions_to_purge(session, now=now, limit=limit)
    for deletion in deletions:
        start_purge(session, deletion=deletion, now=now)
    return len(deletions)


def resend_requests(session: Session, *, now: datetime, limit: int = 50) -> int:
    """Send the requests again that have no reply; returns how many. After the third time it is also
    logged as an error."""
    sagas = queries.unanswered_sagas(session, now=now, limit=limit)
    for saga in sagas:
        if saga.times_sent >= ALARM_AFTER:
            _LOG.error("saga.stuck", saga=saga.id, kind=saga.kind, waiting_for=saga.waiting_for)
        organization = queries.organization(session, saga.organization_id)
        send_request(session, organization, saga, now=now)
    return len(sagas)
