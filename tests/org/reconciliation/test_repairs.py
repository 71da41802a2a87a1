"""Which repairs begin, and when the job asks again."""

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from chassis.errors import Unavailable
from contracts import billing, org
from org import jobs, queries
from org.sagas.progress import begin
from structlog.testing import capture_logs

from tests.org.conftest import World
from tests.org.reconciliation.test_pages import access, account, differences, no_account, request

Account = Callable[[World, str, str], billing.StateReported]
REPAIRS = org.ReopenAccount, org.FreezeAccount, org.EndAccess, org.OrganizationActivated


def sealed(world: World, customer: str, check: str) -> billing.StateReported:
    return account(world, customer, check, status="sealed")


def missing(_: World, customer: str, check: str) -> billing.StateReported:
    return no_account(customer, check)


def repairs(world: World) -> list[Any]:
    """The messages that repairs begin with, since the customer was opened."""
    return world.published(*REPAIRS)[1:]


def reply(world: World, customer: str, reported: Account, state: str, **how: bool) -> None:
    """Both services report."""
    check = request(world, customer, **how)
    world.consume(reported(world, customer, check))
    world.consume(access(customer, check, state=state))


def is_in_saga(world: World, customer: str) -> bool:
    with world.database.reading() as session:
        return bool(queries.in_sagas(session, [customer]))


def rows(world: World) -> list[tuple[str, str | None]]:
    with world.database.reading() as session:
        return [(row.service + " " + row.kind, row.repair) for row in queries.differences(session)]


@pytest.mark.parametrize(
    ("status", "reported", "state"),
    [
        ("active", sealed, "suspended"),
        ("active", missing, "provisioning"),
        ("suspended", missing, "open"),
        ("suspended", sealed, "open"),
    ],
)
def test_nothing_begins_where_a_reply_would_never_come(
    world: World, status: str, reported: Account, state: str
) -> None:
    customer = world.active()
    world.set_status(customer, status)
    reply(world, customer, reported, state)

    assert not is_in_saga(world, customer) and repairs(world) == []
    assert [repair for _, repair in rows(world)] == [None, None]


def test_a_customer_is_suspended_again_though_its_access_may_not_be_reopened(world: World) -> None:
    customer = world.active()
    world.set_status(customer, "suspended")
    reply(world, customer, account, "ended", may_reopen=False)

    assert rows(world) == [("billing state", "suspension"), ("membership state", None)]
    assert [type(each) for each in repairs(world)] == [org.FreezeAccount]


def test_the_command_may_reopen_what_the_job_has_asked_about(world: World) -> None:
    customer = world.active()
    check = request(world, customer, may_reopen=False)
    assert request(world, customer, may_reopen=True) == check
    world.consume(account(world, customer, check, status="frozen"))
    world.consume(access(customer, check))

    assert [type(each) for each in repairs(world)] == [org.ReopenAccount]


@pytest.mark.parametrize(
    ("status", "account_status", "state"),
    [("closing", "closed", "ended"), ("provisioning", "open", "provisioning")],
)
def test_a_status_that_only_a_saga_has_is_reported_without_one(
    world: World, status: str, account_status: str, state: str
) -> None:
    customer = world.active()
    reply(world, customer, sealed, "ended")
    assert differences(world) == ["billing state", "membership state"]
    world.set_status(customer, status)

    check = request(world, customer)
    world.consume(account(world, customer, check, status=account_status))
    world.consume(access(customer, check, state=state))

    assert rows(world) == [("billing state", None), ("membership state", None)]
    assert repairs(world) == []


def test_what_an_earlier_check_found_begins_no_repair(world: World) -> None:
    customer = world.active()
    world.set_status(customer, "suspended")
    world.consume(account(world, customer, request(world, customer)))  # membership is away
    world.now += queries.CHECK_AGAIN_AFTER
    check = request(world, customer)
    suspend(world, customer)
    world.consume(account(world, customer, check, status="frozen"))
    end_sagas(world, customer)
    before = len(repairs(world))

    world.consume(access(customer, check, state="suspended"))

    assert len(repairs(world)) == before and not is_in_saga(world, customer)


def suspend(world: World, customer: str) -> None:
    """Begin the saga of a suspension."""
    with world.database.transaction() as session:
        begin(session, queries.organization(session, customer), "suspension", now=world.now)


def end_sagas(world: World, customer: str) -> None:
    with world.database.transaction() as session:
        queries.open_saga(session, customer).finished_at = world.now


def test_checks_without_a_reply_are_logged_where_new_ones_replace_them(world: World) -> None:
    customer = world.active()
    world.consume(access(customer, request(world, customer)))
    world.now += queries.CHECK_AGAIN_AFTER
    with capture_logs() as lines:
        request(world, customer)

    (line,) = (line for line in lines if line["event"] == "reconciliation.unanswered")
    assert (line["organization_id"], line["service"]) == (customer, "billing")


def test_organizations_in_a_saga_take_no_place_of_those_that_are_asked_about_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = world.active(), world.active()
    for customer in (stuck, other):
        reply(world, customer, sealed, "open")
    suspend(world, stuck)
    monkeypatch.setattr("org.queries.reconciliation._MAX_CHECKS", 1)
    with world.database.reading() as session:
        assert queries.to_check_again(session, later(world)) == [other]


def later(world: World) -> Any:
    """When the differences of this test are looked at again."""
    with world.database.reading() as session:
        seen = max(row.last_seen_at for row in queries.differences(session))
    return seen + queries.CHECK_AGAIN_AFTER + timedelta(seconds=1)


class Away:
    """A service that does not respond."""

    def send(self, *_: Any) -> Any:
        raise Unavailable()


@pytest.mark.parametrize("hours", [24, 0])
def test_differences_are_asked_about_again_while_a_service_is_away_but_not_if_switched_off(
    world: World, hours: int
) -> None:
    customer = world.active()
    reply(world, customer, sealed, "open")
    before = len(world.published(org.ReportState))
    settings = SimpleNamespace(reconciliation_hours=hours, internal_secret="x")
    away = {"billing": Away(), "membership": Away()}
    jobs._OUTAGE.over()  # of another test
    with capture_logs() as lines:
        for _ in range(2):
            assert jobs.reconcile(world.database, later(world), settings, away) == 0

    assert len(world.published(org.ReportState)) == before + (1 if hours else 0)
    events = [line["event"] for line in lines if line["event"].startswith("reconciliation.")]
    assert events == (["reconciliation.unavailable"] if hours else [])
