"""The billing run: blocks of accounts invoice each once, also at the same time or after a crash."""

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from billing import jobs, queries
from billing.actions.invoicing import invoices
from billing.models import Account, Entry, Invoice
from chassis.audit import AuditEntry
from chassis.db.database import cause
from sqlalchemy import event, select

from tests.billing.billing_periods import charge, end_months, opened
from tests.billing.invoices.books import check_books, listed, names
from tests.billing.test_concurrency import at_once


class Crash(BaseException):
    pass


@pytest.mark.both_databases
@pytest.mark.parametrize("moment", ["before the invoices", "before the commit"])
def test_a_crash_leaves_complete_invoices_and_the_rest_for_later(world, monkeypatch, moment):
    end_months(world, datetime(2031, 1, 31, tzinfo=UTC))
    orgs = [opened(world) for _ in range(25)]
    for org in orgs:
        charge(world, org, "10", datetime(2031, 1, 6, tzinfo=UTC))
    now, blocks, whole = datetime(2031, 2, 5, tzinfo=UTC), [], invoices.write

    def fragile(session, issues, **kwargs):
        blocks.append([issue.customer.organization_id for issue in issues])
        if len(blocks) == 3 and moment == "before the invoices":
            raise Crash
        whole(session, issues, **kwargs)
        if len(blocks) == 3:
            raise Crash

    monkeypatch.setattr(jobs, "BLOCK", 7)
    monkeypatch.setattr(jobs, "PARALLEL_BLOCKS", 1)
    monkeypatch.setattr(invoices, "write", fragile)
    with pytest.raises(Crash):
        end_months(world, now)
    with world.database.reading() as session:
        done = session.scalars(
            select(Invoice.organization_id).where(Invoice.organization_id.in_(orgs))
        ).all()
        rows = session.scalars(
            select(Entry).where(Entry.organization_id.in_(orgs), Entry.kind == "invoice")
        ).all()
    assert sorted(done) == sorted(row.organization_id for row in rows)
    assert sorted(done) == sorted(set(blocks[0] + blocks[1]) & set(orgs))
    monkeypatch.setattr(invoices, "write", whole)
    end_months(world, now)
    with world.database.reading() as session:
        issued = session.scalars(select(Invoice).where(Invoice.organization_id.in_(orgs))).all()
        left = select(Account).where(Account.organization_id.in_(orgs), Account.unbilled > 0)
        assert not session.scalars(left).all()
    assert sorted(invoice.organization_id for invoice in issued) == sorted(orgs)
    assert {invoice.total for invoice in issued} == {10_000_000}
    for org in orgs[::8]:
        assert names(world, org) == ["invoice_issued"]
        check_books(world, org)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("runs", "blocks"), [(2, 1), (1, 2)], ids=["two runs", "one run"])
def test_blocks_that_run_at_the_same_time_share_the_accounts(world, monkeypatch, runs, blocks):
    now = datetime(2031, 2, 5, tzinfo=UTC)
    end_months(world, now)
    orgs = [opened(world) for _ in range(14)]
    for org in orgs:
        charge(world, org, "10", datetime(2031, 1, 6, tzinfo=UTC))
    both, whole = threading.Barrier(2), invoices.write

    def write_together(session, issues, **kwargs):
        if issues:
            both.wait(120)
        whole(session, issues, **kwargs)

    monkeypatch.setattr(jobs, "BLOCK", 7)
    monkeypatch.setattr(jobs, "PARALLEL_BLOCKS", blocks)
    monkeypatch.setattr(invoices, "write", write_together)

    def run():
        with cause_of("run_billing:evt_1"):
            return jobs.BillingRun().run(world.database, now, None)

    assert sum(at_once(*[run] * runs)) == 14
    assert run() == 0
    for org in orgs:
        assert len(listed(world, org)) == 1
    issued = (AuditEntry.action == "invoice.issued", AuditEntry.organization_id.in_(orgs))
    with world.database.reading() as session:
        causes = session.scalars(select(AuditEntry.request_id).where(*issued)).all()
    assert causes == ["run_billing:evt_1"] * 14


@contextmanager
def cause_of(name):
    token = cause.set(name)
    yield
    cause.reset(token)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_billing_run_skips_locked_accounts(world):
    now, org = datetime(2031, 2, 5, tzinfo=UTC), opened(world)
    charge(world, org, "10", datetime(2031, 1, 6, tzinfo=UTC))
    with world.database.transaction() as session:
        queries.get_account(session, org, lock=True)
        end_months(world, now)
        assert listed(world, org) == []
    end_months(world, now)
    assert len(listed(world, org)) == 1


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_number_of_statements_does_not_depend_on_that_of_the_accounts(world):
    def statements(count):
        for number in range(count):
            org = opened(world)
            charge(world, org, "10", datetime(2031, 1, 6, tzinfo=UTC))
            if number % 3 == 0:
                world.top_up(org, "4")
        seen = []

        def see(_connection, _cursor, statement, *_):
            seen.append(statement)

        event.listen(world.database.engine, "before_cursor_execute", see)
        jobs.BillingRun().run(world.database, datetime(2031, 2, 5, tzinfo=UTC), None)
        event.remove(world.database.engine, "before_cursor_execute", see)
        # Few rows are inserted, many copied, which is not seen.
        return [s for s in seen if not s.startswith("INSERT INTO ")]

    end_months(world, datetime(2031, 2, 5, tzinfo=UTC))
    assert len(statements(3)) == len(statements(30))


def test_billing_and_overdue_run_as_jobs(world):
    from billing.jobs import JOBS

    org, now = opened(world), datetime(2031, 2, 5, tzinfo=UTC)
    charge(world, org, "10", datetime(2031, 1, 6, tzinfo=UTC))
    jobs = {job.name: job for job in JOBS}
    while jobs["run_billing"].run(world.database, now, None):
        pass
    assert len(listed(world, org)) == 1
    while jobs["flag_overdue_invoices"].run(world.database, now + timedelta(days=30), None):
        pass
    assert "invoice_overdue" in names(world, org)
