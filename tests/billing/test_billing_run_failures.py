"""The billing run: accounts that cannot be invoiced, and the others."""

from datetime import UTC, datetime

import pytest
from billing import actions, jobs
from billing.actions.invoicing import invoices
from billing.models import Account
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from tests.billing.billing_periods import SECOND, charge, end_months, issue, opened, totals
from tests.billing.conftest import World
from tests.billing.invoices.books import check_books, names


def _opened_to_bill(world, count):
    orgs = [opened(world) for _ in range(count)]
    for org in orgs:
        charge(world, org, "5", datetime(2031, 1, 10, tzinfo=UTC))
    return orgs


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
    orgs = _opened_to_bill(world, 9)
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


@pytest.mark.both_databases
@pytest.mark.parametrize("break_", [_fail_while_preparing, _fail_while_writing])
def test_failing_accounts_cost_others_nothing_until_they_are_retried(world, monkeypatch, break_):
    now = datetime(2031, 2, 2, tzinfo=UTC)
    end_months(world, now)
    run, attempted, whole = jobs.BillingRun().run, [], actions.run_billing

    def attempt(session, *, organization_ids, now):
        attempted.append(set(organization_ids))
        return whole(session, organization_ids=organization_ids, now=now)

    def turn(at):
        attempted.clear()
        with capture_logs() as logs:
            billed = run(world.database, at, None)
        assert {log["organization_id"] for log in logs if "organization_id" in log} <= failing
        return billed, sum(log["event"] == "billing_run.account_failed" for log in logs)

    monkeypatch.setattr(actions, "run_billing", attempt)
    first = _opened_to_bill(world, 4)
    failing = set(first[:2])
    with monkeypatch.context() as patched:
        break_(patched, failing)
        assert turn(now) == (2, 2)
        others = _opened_to_bill(world, 3)
        assert turn(now + SECOND) == (3, 0)
        assert attempted == [set(others)]
        assert turn(now + jobs.RETRY_AFTER - SECOND) == (0, 0)
        assert attempted == []
        more = _opened_to_bill(world, 2)
        assert turn(now + jobs.RETRY_AFTER) == (2, 0)
        assert attempted == [set(more)], "others go first, and apart"
        assert turn(now + jobs.RETRY_AFTER) == (0, 2)
        assert turn(now + jobs.RETRY_AFTER + SECOND) == (0, 0)
    assert turn(now + 2 * jobs.RETRY_AFTER) == (2, 0)
    assert attempted == [failing]
    for org in [*first, *others, *more]:
        assert totals(world, org) == [("5.00", "2031-01-05", "2031-01-31")]
    assert turn(now + 2 * jobs.RETRY_AFTER) == (0, 0)


@pytest.mark.both_databases
def test_very_many_failing_accounts_of_one_provider_hold_up_no_other_provider(world, monkeypatch):
    now, run = datetime(2031, 2, 2, tzinfo=UTC), jobs.BillingRun().run
    end_months(world, now)
    monkeypatch.setattr(jobs, "MAX_FAILING", 2)
    failing = _opened_to_bill(world, 3)
    elsewhere = World(world.database, world.client)
    with monkeypatch.context() as patched:
        _fail_while_writing(patched, set(failing))
        assert run(world.database, now, None) == 0
        [other] = _opened_to_bill(elsewhere, 1)
        assert run(world.database, now + SECOND, None) == 1
        assert len(totals(elsewhere, other)) == 1
    [waiting] = _opened_to_bill(world, 1)
    assert run(world.database, now + SECOND, None) == 0, "very many of the same provider fail"
    assert run(world.database, now + jobs.RETRY_AFTER, None) == 3
    assert run(world.database, now + jobs.RETRY_AFTER, None) == 1
    assert len(totals(world, waiting)) == 1


def test_if_all_accounts_fail_only_some_are_tried_in_a_turn(world, monkeypatch):
    now = datetime(2031, 2, 2, tzinfo=UTC)
    end_months(world, now)
    _opened_to_bill(world, 9)
    tried = set()

    def fail(customer, *_, **__):
        tried.add(customer.organization_id)
        raise ZeroDivisionError

    monkeypatch.setattr(invoices, "prepare", fail)
    monkeypatch.setattr(jobs, "BLOCK", 1)
    monkeypatch.setattr(jobs, "MAX_FAILING", 4)
    assert jobs.BillingRun().run(world.database, now, None) == 0
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
        jobs.BillingRun().run(world.database, datetime(2031, 2, 2, tzinfo=UTC), None)
    assert len(attempts) == 1
