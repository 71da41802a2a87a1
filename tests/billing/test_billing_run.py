"""The billing run: in each customer's time zone, once, whatever fails."""

import threading
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest
from billing import actions, jobs, queries
from billing.actions.invoicing import invoices
from billing.actions.ledger import posting
from billing.models import Account, Entry, Invoice
from billing.values import (
    Code,
    Transfer,
    day_start,
    local_day,
    month_end,
    month_start,
    parse_money,
)
from chassis.audit import AuditEntry
from chassis.db.database import cause
from chassis.runtime import ids
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from tests.billing.conftest import CLERK
from tests.billing.invoices.books import check_books, choose, listed, names
from tests.billing.test_concurrency import at_once

SECOND = timedelta(seconds=1)


def opened(world, timezone="Asia/Singapore", at=datetime(2031, 1, 5, tzinfo=UTC), mode="postpaid"):
    org = ids.new("org")
    with world.database.transaction() as session:
        actions.open_account(
            session,
            organization_id=org,
            provider_id=world.provider_id,
            name="Acme",
            country="SG",
            currency="SGD",
            timezone=timezone,
            payment_mode=mode,
            credit_limit=parse_money("1000"),
            billing={},
            buyer_tags={},
            now=at,
        )
    return org


def charge(world, org, amount, at):
    with world.database.transaction() as session:
        actions.charge(
            session,
            organization_id=org,
            amount=parse_money(amount),
            kind="usage",
            description="Calls",
            now=at,
            by=CLERK,
        )


def adjust(world, org, amount, at):
    with world.database.transaction() as session:
        actions.adjust(
            session,
            organization_id=org,
            amount=parse_money(amount),
            kind="goodwill",
            reason="x",
            now=at,
            by=CLERK,
        )


def issue(world, org, at):
    with world.database.transaction() as session:
        actions.issue_invoice(session, organization_id=org, now=at, by=CLERK)


def end_months(world, now):
    while jobs.run_billing(world.database, now, None):
        pass


def account(world, org):
    with world.database.reading() as session:
        return session.get_one(Account, org)


def totals(world, org):
    """Total and period of each invoice, oldest first."""
    return [
        (i["total"], i["period"]["from"], i["period"]["to"]) for i in reversed(listed(world, org))
    ]


@pytest.mark.parametrize(
    ("timezone", "ends"),
    [
        ("Asia/Singapore", datetime(2031, 3, 31, 16, tzinfo=UTC)),
        ("Pacific/Kiritimati", datetime(2031, 3, 31, 10, tzinfo=UTC)),
        ("Pacific/Pago_Pago", datetime(2031, 4, 1, 11, tzinfo=UTC)),
        (
            "Europe/Berlin",
            datetime(2031, 3, 31, 22, tzinfo=UTC),
        ),  # an hour earlier than when March began there
        ("America/New_York", datetime(2031, 4, 1, 4, tzinfo=UTC)),
    ],
)
def test_a_month_ends_at_midnight_in_the_customers_time_zone(world, timezone, ends):
    org = opened(world, timezone, at=datetime(2031, 3, 10, tzinfo=UTC))
    assert account(world, org).month_ends_at == ends
    charge(world, org, "10", ends - SECOND)
    end_months(world, ends - SECOND)
    assert listed(world, org) == []
    charge(world, org, "5", ends)
    end_months(world, ends + 5 * SECOND)
    begins = local_day(datetime(2031, 3, 10, tzinfo=UTC), timezone).isoformat()
    assert totals(world, org) == [("10.00", begins, "2031-03-31")]
    assert account(world, org).month_ends_at == month_end(ends + SECOND, timezone)
    assert world.account(org)["expecting_invoice"] == "-5.00"
    end_months(world, ends + 9 * SECOND)
    assert len(listed(world, org)) == 1
    end_months(world, month_end(ends, timezone))
    assert totals(world, org)[1:] == [("5.00", "2031-04-01", "2031-04-30")]
    check_books(world, org)


@pytest.mark.parametrize(
    ("timezone", "day", "begins"),
    [
        (
            "America/Havana",
            date(2026, 11, 1),
            datetime(2026, 11, 1, 4, tzinfo=UTC),
        ),  # 00:30 comes twice: at its first
        (
            "Africa/Cairo",
            date(2010, 10, 1),
            datetime(2010, 9, 30, 22, tzinfo=UTC),
        ),  # 23:30 of the day before came twice
        (
            "America/Asuncion",
            date(2017, 10, 1),
            datetime(2017, 10, 1, 4, tzinfo=UTC),
        ),  # there is no 00:00
    ],
)
def test_a_daylight_saving_change_at_midnight(timezone, day, begins):
    assert day_start(day, timezone) == begins
    assert month_end(begins - SECOND, timezone) == begins
    for later in (begins, begins + timedelta(minutes=90), begins + timedelta(days=20)):
        assert month_start(later, timezone) == begins
    assert month_start(begins - SECOND, timezone) < begins


def test_refunds_after_the_month_may_leave_less_than_the_month_had(world):
    ends = datetime(2031, 1, 31, 16, tzinfo=UTC)
    short, enough = opened(world), opened(world)
    for org in (short, enough):
        charge(world, org, "10", ends - SECOND)
        charge(world, org, "2", ends + SECOND)
        adjust(world, org, "5" if org == short else "2", ends + SECOND)
    end_months(world, ends + 3 * SECOND)
    assert totals(world, short) == [("7.00", "2031-01-05", "2031-02-01")]
    assert totals(world, enough) == [("10.00", "2031-01-05", "2031-01-31")]
    assert account(world, short).month_ends_at == account(world, enough).month_ends_at
    for org in (short, enough):
        charge(world, org, "1", ends + 5 * SECOND)
    end_months(world, datetime(2031, 2, 28, 16, tzinfo=UTC))
    assert totals(world, short)[1:] == [("1.00", "2031-02-01", "2031-02-28")]
    assert totals(world, enough)[1:] == [("1.00", "2031-02-01", "2031-02-28")]
    for org in (short, enough):
        check_books(world, org)


def test_manually_invoiced_charges_are_not_invoiced_again(world):
    ends = datetime(2031, 1, 31, 16, tzinfo=UTC)
    before, after = opened(world), opened(world)
    for org in (before, after):
        charge(world, org, "10", ends - timedelta(days=9))
    issue(world, before, ends - timedelta(days=8))
    issue(world, after, ends + SECOND)
    charge(world, after, "1", ends - SECOND)  # began before midnight, had to wait for the account
    charge(world, after, "2", ends + 2 * SECOND)
    charge(world, before, "3", ends - SECOND)
    end_months(world, ends + 3 * SECOND)
    assert totals(world, before) == [
        ("10.00", "2031-01-05", "2031-01-24"),
        ("3.00", "2031-01-24", "2031-01-31"),
    ]
    assert [total for total, *_ in totals(world, after)] == ["10.00", "1.00"]
    assert account(world, after).unbilled == 2_000_000
    check_books(world, before)
    check_books(world, after)


def test_after_several_missed_months_there_is_one_invoice(world):
    org = opened(world)
    for month in (1, 2, 4):
        charge(world, org, "10", datetime(2031, month, 20, tzinfo=UTC))
    charge(world, org, "7", datetime(2031, 5, 2, tzinfo=UTC))
    end_months(world, datetime(2031, 5, 3, tzinfo=UTC))
    assert totals(world, org) == [("30.00", "2031-01-05", "2031-04-30")]
    assert account(world, org).month_ends_at == datetime(2031, 5, 31, 16, tzinfo=UTC)
    assert (account(world, org).unbilled, len(names(world, org))) == (7_000_000, 1)
    check_books(world, org)


def test_without_charges_only_the_month_advances(world):
    orgs = {name: opened(world) for name in ("empty", "settled", "closed", "sealed")}
    orgs["prepaid"] = opened(world, mode="prepaid")
    charge(world, orgs["settled"], "5", datetime(2031, 1, 6, tzinfo=UTC))
    adjust(world, orgs["settled"], "5", datetime(2031, 1, 7, tzinfo=UTC))
    charge(world, orgs["prepaid"], "5", datetime(2031, 1, 7, tzinfo=UTC))
    with world.database.transaction() as session:
        for name in ("closed", "sealed"):
            session.get_one(Account, orgs[name]).status = name
    end_months(world, datetime(2031, 2, 5, tzinfo=UTC))
    ends = {name: account(world, org).month_ends_at for name, org in orgs.items()}
    february = datetime(2031, 2, 28, 16, tzinfo=UTC)
    assert ends == {
        "empty": february,
        "settled": february,
        "closed": february,
        "sealed": None,
        "prepaid": None,
    }
    assert not any(names(world, org) for org in orgs.values())


@pytest.mark.parametrize(
    ("invoicing", "kind", "invoiced"),
    [
        ("individual", "usage", ["40.00", "10.00"]),
        ("consolidated", "consolidated", ["50.00"]),
        ("none", "none", ["50.00"]),
    ],
)
def test_the_kinds_of_a_month(world, invoicing, kind, invoiced):
    choose(world, invoicing=invoicing)
    org, at = opened(world), datetime(2031, 1, 6, tzinfo=UTC)
    charge(world, org, "10", at)
    with world.database.transaction() as session:
        actions.charge(
            session,
            organization_id=org,
            amount=40_000_000,
            kind="one_off",
            description="Phone",
            now=at,
            by=CLERK,
        )
        actions.freeze_account(session, organization_id=org, now=at)
    end_months(world, datetime(2031, 2, 5, tzinfo=UTC))
    assert [total for total, *_ in totals(world, org)] == invoiced
    published = world.last_published(org, "invoice_issued")
    assert (published["kind"], published["issued_on"], published["due_on"]) == (
        kind,
        "2031-02-05",
        "2031-02-19",
    )
    audit = world.last_published(org, "audit_recorded")
    assert (audit["action"], audit["actor"]["kind"]) == ("invoice.issued", "system")
    check_books(world, org)


def test_a_surplus_pays_the_monthly_invoice(world):
    orgs = [opened(world) for _ in range(3)]
    for org in orgs:
        world.top_up(org, "4")
        charge(world, org, "10", datetime(2031, 1, 6, tzinfo=UTC))
    end_months(world, datetime(2031, 2, 5, tzinfo=UTC))
    for org in orgs:
        assert [i["open"] for i in listed(world, org)] == ["6.00"]
        assert world.account(org)["amount_due"] == "-6.00"
        check_books(world, org)


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
            return jobs.run_billing(world.database, now, None)

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
        jobs.run_billing(world.database, datetime(2031, 2, 5, tzinfo=UTC), None)
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


def _fail_while_preparing(patched, failing):
    prepare = invoices.prepare

    def fail(customer, *rest, **more):
        if customer.organization_id in failing:
            raise ZeroDivisionError
        return prepare(customer, *rest, **more)

    patched.setattr(invoices, "prepare", fail)


def _fail_while_writing(patched, failing):
    write = invoices.write

    def fail(session, issues, **more):
        write(session, issues, **more)
        if failing & {issue.customer.organization_id for issue in issues}:
            raise ZeroDivisionError

    patched.setattr(invoices, "write", fail)


@pytest.mark.both_databases
@pytest.mark.parametrize("break_", [_fail_while_preparing, _fail_while_writing])
def test_failing_accounts_do_not_block_others(world, monkeypatch, break_):
    end_months(world, datetime(2031, 2, 2, tzinfo=UTC))
    orgs = [opened(world) for _ in range(9)]
    for org in orgs:
        charge(world, org, "5", datetime(2031, 1, 10, tzinfo=UTC))
    now, failing = datetime(2031, 2, 2, tzinfo=UTC), {orgs[0], orgs[1], orgs[6]}
    # Two fill the first block.
    monkeypatch.setattr(jobs, "BLOCK", 2)
    with monkeypatch.context() as patched:
        break_(patched, failing)
        end_months(world, now)
        expected = [0 if org in failing else 1 for org in orgs]
        assert [len(totals(world, org)) for org in orgs] == expected
    end_months(world, now)
    for org in orgs:
        assert totals(world, org) == [("5.00", "2031-01-05", "2031-01-31")]
        assert names(world, org) == ["invoice_issued"]
        check_books(world, org)


def test_if_all_accounts_fail_only_some_are_tried_in_a_turn(world, monkeypatch):
    now = datetime(2031, 2, 2, tzinfo=UTC)
    end_months(world, now)
    orgs = [opened(world) for _ in range(9)]
    for org in orgs:
        charge(world, org, "5", datetime(2031, 1, 10, tzinfo=UTC))
    tried = set()

    def fail(customer, *_, **__):
        tried.add(customer.organization_id)
        raise ZeroDivisionError

    monkeypatch.setattr(invoices, "prepare", fail)
    monkeypatch.setattr(jobs, "BLOCK", 1)
    monkeypatch.setattr(jobs, "MAX_FAILING", 4)
    assert jobs.run_billing(world.database, now, None) == 0
    assert len(tried) == 4


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("timezone", "Not/A_Zone"),
        ("invoices", 0),  # the number of its next invoice is taken
        ("invoiced_seq", 1),  # the previous invoice covers up to another row
    ],
)
def test_an_account_with_damaged_data_is_left_as_it_is(world, column, value):
    orgs, now = [opened(world) for _ in range(3)], datetime(2031, 2, 2, tzinfo=UTC)
    for org in orgs:
        charge(world, org, "5", datetime(2031, 1, 6, tzinfo=UTC))
        charge(world, org, "5", datetime(2031, 1, 7, tzinfo=UTC))
        issue(world, org, datetime(2031, 1, 8, tzinfo=UTC))
        charge(world, org, "7", datetime(2031, 1, 9, tzinfo=UTC))
    with world.database.transaction() as session:
        damaged = session.get_one(Account, orgs[1])
        whole = getattr(damaged, column)
        setattr(damaged, column, value)
    end_months(world, now)
    issued = [[total for total, *_ in totals(world, org)] for org in (orgs[0], orgs[2])]
    assert issued == [["10.00", "7.00"]] * 2
    if column != "invoiced_seq":
        assert len(totals(world, orgs[1])) == 1
        with world.database.transaction() as session:
            setattr(session.get_one(Account, orgs[1]), column, whole)
        end_months(world, now)
        check_books(world, orgs[1])


def test_an_unavailable_database_is_not_taken_for_a_failing_account(world, monkeypatch):
    attempts = []

    def fail(*_, **__):
        attempts.append(1)
        raise OperationalError("", None, Exception())

    opened(world)
    monkeypatch.setattr(actions, "run_billing", fail)
    with pytest.raises(OperationalError):
        jobs.run_billing(world.database, datetime(2031, 2, 2, tzinfo=UTC), None)
    assert len(attempts) == 1


@pytest.mark.both_databases
def test_a_surplus_pays_open_invoices_first_and_publishes_what_is_paid(world):
    orgs = [opened(world) for _ in range(3)]
    for org in orgs:
        charge(world, org, "10", datetime(2031, 1, 6, tzinfo=UTC))
        issue(world, org, datetime(2031, 1, 8, tzinfo=UTC))
        charge(world, org, "7", datetime(2031, 1, 9, tzinfo=UTC))
    with world.database.transaction() as session:
        for org, surplus in zip(orgs, (4_000_000, 12_000_000, 20_000_000), strict=True):
            posting.post(
                session,
                session.get_one(Account, org),
                [Transfer(Code.OFFLINE, Code.SURPLUS, surplus)],
                kind="top_up",
                now=datetime(2031, 1, 10, tzinfo=UTC),
                by=CLERK,
                description="Top-up",
            )
    end_months(world, datetime(2031, 2, 5, tzinfo=UTC))
    left = [[i["open"] for i in reversed(listed(world, org))] for org in orgs]
    assert left == [["6.00", "7.00"], ["0.00", "5.00"], ["0.00", "0.00"]]
    assert [account(world, org).surplus for org in orgs] == [0, 0, 3_000_000]
    issued = ["invoice_issued", "invoice_issued"]
    assert [names(world, org) for org in orgs] == [
        issued,
        [*issued, "invoice_paid"],
        [*issued, "invoice_paid", "invoice_paid"],
    ]
    assert [world.last_published(org, "invoice_issued")["open"] for org in orgs] == [
        "7.00",
        "5.00",
        "0.00",
    ]
    for org in orgs:
        check_books(world, org)


def test_a_month_is_taxed_by_the_rate_of_its_own_last_day(world):
    rates = (("8", "2020-01-01"), ("9", "2031-02-01"))
    choose(
        world,
        tax_rates=[
            {"country": "SG", "name": "GST", "rate": rate, "valid_from": day} for rate, day in rates
        ],
    )
    org, ends = opened(world), datetime(2031, 1, 31, 16, tzinfo=UTC)
    charge(world, org, "108", ends - SECOND)
    end_months(world, ends + SECOND)
    charge(world, org, "109", ends + SECOND)
    issue(world, org, ends + 2 * SECOND)
    assert [(i["tax_rate"], i["tax"]) for i in reversed(listed(world, org))] == [
        ("8", "8.00"),
        ("9", "9.00"),
    ]
