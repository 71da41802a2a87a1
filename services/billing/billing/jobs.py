"""Billing's periodic jobs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime, timedelta

from chassis import audit
from chassis.db.database import Database
from chassis.db.health import is_unavailable
from chassis.errors import Conflict
from chassis.runtime import log
from chassis.runtime.service import Job

from billing import actions, queries

# The accounts that the billing run invoices in one transaction, and how many such run at once.
BLOCK, PARALLEL_BLOCKS = 250, 2
# An account that failed is retried then. While as many of one provider have failed, no others of
# that provider are tried.
RETRY_AFTER, MAX_FAILING = timedelta(minutes=5), 5000
_LOG = log.get("billing")


def expire_credit_limits(database: Database, now: datetime, _settings: object) -> int:
    """Drop temporary limits that have ended, and publish the balances."""
    with database.transaction() as session:
        return actions.expire_credit_limits(session, now=now)


def recount_days_to_empty(database: Database, now: datetime, _settings: object) -> int:
    """Recount the days to empty, which change from day to day."""
    with database.transaction() as session:
        return actions.recount_days_to_empty(session, now=now)


def expire_reservations(database: Database, now: datetime, _settings: object) -> int:
    """Release what expired reservations still hold."""
    with database.transaction() as session:
        return actions.expire_reservations(session, now=now)


def publish_balances(database: Database, now: datetime, _settings: object) -> int:
    """Publish balances that have changed.

    Returns 0 unless more are waiting than fit into one run, so that the balance of a busy account
    is published a few times a second and not as often as it changes.
    """
    with database.reading() as session:
        waiting = queries.unpublished_balances(session)
    if not waiting:
        return 0
    with database.transaction() as session:
        published = actions.publish_balances(session, organization_ids=waiting, now=now)
    return published if len(waiting) == queries.BATCH_SIZE else 0


def publish_low_credits(database: Database, now: datetime, _settings: object) -> int:
    """Publish an alert for accounts whose credits run low."""
    with database.transaction() as session:
        return actions.publish_low_credits(session)


def run_auto_top_ups(database: Database, now: datetime, _settings: object) -> int:
    """Try the automatic top-ups that are due."""
    with database.reading() as session:
        due = queries.due_top_ups(session, now)
    return sum(_run_auto_top_up(database, now, organization_id) for organization_id in due)


def _run_auto_top_up(database: Database, now: datetime, organization_id: str) -> int:
    """A refused top-up is rolled back, so its failure is recorded in a transaction of its own."""
    try:
        with database.transaction() as session:
            actions.run_auto_top_up(session, organization_id=organization_id, now=now)
    except Conflict as why:
        with database.transaction() as session:
            actions.record_failed_top_up(session, organization_id=organization_id, why=why, now=now)
    except Exception:
        _LOG.error("auto_top_up.failed", organization_id=organization_id, exc_info=True)
        return 0
    return 1


def audit_ledger(database: Database, now: datetime, _settings: object) -> int:
    """Check the next batch of accounts; small batches follow at once, large ones at their turn."""
    with database.reading(snapshot=True) as session:
        batch = queries.audit_next_batch(session, now)
    if batch is None:
        return 0
    with database.transaction() as session:
        actions.record_audit_batch(session, batch=batch, now=now)
    return int(batch.is_small)


class BillingRun:
    """The job that invoices months that have ended. It leaves out accounts that could not be
    invoiced for a while, so that they hold up no others, unless very many of the same provider
    fail."""

    def __init__(self) -> None:
        # By organization: its provider, and when it is retried.
        self._failing: dict[str, tuple[str, datetime]] = {}

    def run(self, database: Database, now: datetime, _settings: object) -> int:
        """Invoice the accounts of a few blocks, each by its own time zone; only if there are none,
        retry a block of those that failed. Returns for how many accounts that was done."""
        tried: dict[str, str] = {}
        while ended := self._untried(database, now, tried):
            organization_ids = list(ended)
            blocks = [
                organization_ids[start : start + BLOCK]
                for start in range(0, len(organization_ids), BLOCK)
            ]
            if billed := self._bill_blocks(database, now, blocks, ended):
                return billed
            tried |= ended
        due = {
            organization_id: provider_id
            for organization_id, (provider_id, at) in self._failing.items()
            if at <= now
        }
        return self._bill(database, now, list(due)[:BLOCK], due) if due else 0

    def _untried(
        self, database: Database, now: datetime, tried: Mapping[str, str]
    ) -> dict[str, str]:
        """The next organizations to bill, with their providers."""
        skip = {
            **tried,
            **{organization_id: failing[0] for organization_id, failing in self._failing.items()},
        }
        counts = Counter(skip.values())
        full = {provider_id for provider_id, count in counts.items() if count >= MAX_FAILING}
        with database.reading() as session:
            return dict(
                queries.organizations_to_bill(
                    session,
                    now,
                    BLOCK * PARALLEL_BLOCKS,
                    skip=[each for each, provider_id in skip.items() if provider_id not in full],
                    skip_providers=full,
                )
            )

    def _bill_blocks(
        self,
        database: Database,
        now: datetime,
        blocks: Sequence[Sequence[str]],
        providers: Mapping[str, str],
    ) -> int:
        """One is prepared while the database writes another. SQLite has a single writer."""
        if database.is_sqlite or len(blocks) < 2:
            return sum(self._bill(database, now, block, providers) for block in blocks)
        with ThreadPoolExecutor(len(blocks)) as threads:
            # In the context of this job, which messages name as their correlation.
            running = [
                threads.submit(copy_context().run, self._bill, database, now, block, providers)
                for block in blocks
            ]
            return sum(each.result() for each in running)

    def _bill(
        self,
        database: Database,
        now: datetime,
        organization_ids: Sequence[str],
        providers: Mapping[str, str],
    ) -> int:
        """If the block cannot be written, its halves are billed, until an account that cannot be
        is alone. ``providers``: those of the organizations."""
        try:
            with database.transaction() as session:
                billed, failed = actions.run_billing(
                    session, organization_ids=organization_ids, now=now
                )
        except Exception as problem:
            if is_unavailable(problem):
                raise
            if len(organization_ids) > 1:
                _LOG.warning("billing_run.failed", accounts=len(organization_ids), exc_info=True)
                middle = len(organization_ids) // 2
                halves = organization_ids[:middle], organization_ids[middle:]
                return sum(self._bill(database, now, half, providers) for half in halves)
            billed, failed = 0, {organization_ids[0]: problem}
        for organization_id in organization_ids:
            self._failing.pop(organization_id, None)
        for organization_id, why in failed.items():
            _LOG.error("billing_run.account_failed", organization_id=organization_id, exc_info=why)
            self._failing[organization_id] = providers[organization_id], now + RETRY_AFTER
        return billed


def flag_overdue_invoices(database: Database, now: datetime, _settings: object) -> int:
    """Publish invoices that have become overdue."""
    with database.transaction() as session:
        return actions.flag_overdue_invoices(session, now=now)


def erase_people(database: Database, now: datetime, _settings: object) -> int:
    """Take erased people out of the audit log."""
    with database.transaction() as session:
        return audit.erase_more(session, now=now)


JOBS = (
    Job("expire_credit_limits", 5, expire_credit_limits),
    Job("recount_days_to_empty", 60, recount_days_to_empty),
    Job("expire_reservations", 1, expire_reservations, idle=10),
    Job("publish_balances", 0.2, publish_balances),
    Job("publish_low_credits", 1, publish_low_credits),
    Job("run_auto_top_ups", 1, run_auto_top_ups),
    Job("audit_ledger", 5, audit_ledger, "audit"),
    Job("run_billing", 5, BillingRun().run, "billing"),
    Job("flag_overdue_invoices", 5, flag_overdue_invoices),
    Job("erase_people", 60, erase_people),
)
