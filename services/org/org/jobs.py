"""What org does by the clock."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from chassis.db.database import Database
from chassis.errors import Unavailable
from chassis.http.client import InternalClient, Transport
from chassis.runtime import clock, log
from chassis.runtime.outages import Outage
from chassis.runtime.service import Job

from org import actions, clients, queries, sagas
from org.values import comparison

PAGE_SIZE = 500
_ROUNDS = 60
_OUTAGE = Outage(
    log.get("reconciliation"), "reconciliation.unavailable", "reconciliation.recovered"
)
Transports = Mapping[str, Transport]


def _in_transaction(act: Callable[..., int]) -> Callable[[Database, datetime, Any], int]:
    def run(database: Database, now: datetime, _settings: Any) -> int:
        with database.transaction() as session:
            return act(session, now=now)

    return run


def reconcile(database: Database, now: datetime, settings: Any, transports: Transports) -> int:
    """Have known differences looked at again, and compare a page of organizations with the other
    services, if a pass is due; while one of them is unavailable, later. Returns 0: the next page
    follows at the next turn, so that a pass takes no one's place."""
    every = timedelta(hours=settings.reconciliation_hours)
    if not every:
        return 0
    with database.reading() as session:
        current = queries.current_pass(session, now=now, every=every)
        again = queries.to_check_again(session, now)
    if again:
        with database.transaction() as session:
            sagas.request_reports(session, again, now=now)
    if current is None:
        return 0
    try:
        compared = compare_page(database, settings, transports, current.after)
    except Unavailable as problem:
        _OUTAGE.failed(problem)
        return 0
    _OUTAGE.over()
    with database.transaction() as session:
        checked = sagas.request_reports(session, compared.suspects, now=now)
        actions.advance_pass(session, current, compared=compared, checked=checked, now=now)
    return 0


def reconcile_now(
    database: Database,
    settings: Any,
    transports: Transports,
    wait: Callable[[], None],
    *,
    may_reopen: bool = False,
) -> list[str]:
    """Run a whole pass; what is left of the differences when the services have replied and the
    repairs have been checked, one line each. ``wait`` lets a second pass, at most 60 times.
    ``may_reopen``: also repair what opens an account or access."""
    began, after, is_complete = clock.now(), None, False
    ask = partial(sagas.request_reports, may_reopen=may_reopen)
    while not is_complete:
        compared = compare_page(database, settings, transports, after)
        with database.transaction() as session:
            ask(session, compared.suspects, now=clock.now())
        after, is_complete = compared.until, compared.until is None
    with database.reading() as session:
        left = {row.organization_id for row in queries.differences(session)}
    for _ in range(_ROUNDS):
        with database.transaction() as session:
            ask(session, left, now=clock.now())
        wait()
        with database.reading() as session:
            waiting = queries.checks(session, since=began)
            rows = queries.differences(session)
        left = {row.organization_id for row in rows if row.repair}
        if not waiting and not left:
            break
    return [
        *(row.in_words for row in rows),
        *(f"{check.organization_id} {check.service} has not replied" for check in waiting),
    ]


def compare_page(
    database: Database, settings: Any, transports: Transports, after: str | None
) -> comparison.Comparison:
    """Compare what org and the others store of the organizations that follow this one."""
    with database.reading() as session:
        own = queries.own_states(session, after=after, limit=PAGE_SIZE)
    reported = {
        name: clients.states(
            InternalClient(transports[name], "org", settings.internal_secret),
            name,
            after=after,
            limit=PAGE_SIZE,
        )
        for name in comparison.SERVICES
    }
    return comparison.compare(own, reported)


JOBS = (
    Job("purge_due", 0.5, _in_transaction(sagas.purge_due)),
    Job("resend_requests", 5, _in_transaction(sagas.resend_requests), idle=10),
    Job("publish_receipts", 1, _in_transaction(actions.publish_receipts)),
    Job("delete_expired_revocations", 60, _in_transaction(actions.delete_expired_revocations)),
    Job("delete_client_addresses", 60, _in_transaction(actions.client_addresses.delete_expired)),
    Job("erase_people", 60, _in_transaction(actions.erase_more_people)),
    Job("reconcile", 5, reconcile, "reconciliation", calls_services=True),
)
