"""The billing run: what is invoiced of a month, in each customer's time zone."""

from datetime import UTC, date, datetime, timedelta

import pytest
from billing import actions
from billing.actions.ledger import posting
from billing.models import Account
from billing.values import (
    Code,
    Transfer,
    day_start,
    local_day,
    month_end,
    month_start,
)

from tests.billing.billing_periods import (
    SECOND,
    account,
    adjust,
    charge,
    end_months,
    issue,
    opened,
    totals,
)
from tests.billing.conftest import CLERK
from tests.billing.invoices.books import check_books, choose, listed, names


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


@pytest.mark.both_databases
def test_a_surplus_pays_the_new_invoice_and_leaves_the_older_ones(world):
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
    assert left == [["10.00", "3.00"], ["10.00", "0.00"], ["10.00", "0.00"]]
    assert [account(world, org).surplus for org in orgs] == [0, 5_000_000, 13_000_000]
    issued = ["invoice_issued", "invoice_issued"]
    assert [names(world, org) for org in orgs] == [
        issued,
        [*issued, "invoice_paid"],
        [*issued, "invoice_paid"],
    ]
    assert [world.last_published(org, "invoice_issued")["open"] for org in orgs] == [
        "3.00",
        "0.00",
        "0.00",
    ]
    for org in orgs:
        check_books(world, org)


def test_a_month_is_taxed_by_the_rates_of_its_own_days(world):
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
    assert [(i["tax_breakdown"][0]["rate"], i["tax"]) for i in reversed(listed(world, org))] == [
        ("8", "8.00"),
        ("9", "9.00"),
    ]
