"""Org's own page, and what a reply may change, on a real database."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from chassis.runtime import ids
from contracts import billing, membership, org
from org import queries, sagas
from org.models import Check, Organization
from sqlalchemy import func, insert, select

from tests.databases import counted
from tests.org.conftest import World


def account(world: World, customer: str, check: str, **changes: Any) -> billing.StateReported:
    """A report in which only these changes differ from what org has."""
    with world.database.reading() as session:
        ours = queries.own_states(session, after=None, limit=500).states[customer]
    state = billing.AccountState(**{"status": "open", **ours.figures["billing"], **changes})
    return billing.StateReported(
        organization_id=customer, check_id=check, account=state, settings_version=0
    )


def access(customer: str, check: str, **changes: Any) -> membership.StateReported:
    state = membership.AccessState(**{"state": "open", "members": 0, "admins": 0, **changes})
    return membership.StateReported(
        organization_id=customer, check_id=check, access=state, settings_version=0
    )


def request(world: World, customer: str, *, may_reopen: bool = True) -> str:
    """Have the services asked; the id of the check."""
    world.run(
        sagas.request_reports, organization_ids=[customer], now=world.now, may_reopen=may_reopen
    )
    return str(world.published(org.ReportState)[-1].check_id)


def no_account(customer: str, check: str) -> billing.StateReported:
    return billing.StateReported(
        organization_id=customer, check_id=check, account=None, settings_version=0
    )


def differences(world: World) -> list[str]:
    with world.database.reading() as session:
        return [f"{row.service} {row.kind}" for row in queries.differences(session)]


def statements(world: World, act: Callable[[], object]) -> int:
    with counted(world.database) as seen:
        act()
    return len(seen)


def test_a_page_takes_no_more_statements_for_200_organizations_than_for_10(world: World) -> None:
    customer = world.active()

    def read(count: int) -> int:
        with world.database.transaction() as session:
            row = session.get_one(Organization, customer)
            columns = {c.key: getattr(row, c.key) for c in Organization.__mapper__.column_attrs}
            more = [columns | {"id": ids.new("org")} for _ in range(count)]
            session.execute(insert(Organization), more)

        def run() -> None:
            with world.database.reading() as session:
                page = queries.own_states(session, after=customer, limit=500)
            chosen = list(page.states)[:count]
            assert len(chosen) == count
            world.run(sagas.request_reports, organization_ids=chosen, now=world.now)

        return statements(world, run)

    few = read(10)
    world.now += timedelta(hours=1)
    assert read(200) <= few


def test_both_replies_are_compared_before_a_repair_begins(world: World) -> None:
    customer = world.active()
    check = request(world, customer)

    world.consume(account(world, customer, check, status="frozen"))
    assert world.published(org.ReopenAccount) == []
    world.consume(access(customer, check, state="suspended"))

    assert differences(world) == ["billing state", "membership state"]
    (reopen,) = world.published(org.ReopenAccount)
    assert reopen.organization_id == customer and not reopen.frozen


@pytest.mark.parametrize("late", ["another check", "repeated", "in a saga"])
def test_a_reply_that_is_not_waited_for_changes_nothing(world: World, late: str) -> None:
    customer = world.active()
    check = request(world, customer)
    report = account(world, customer, check, status="frozen")
    if late == "another check":
        report = account(world, customer, ids.new("chk"), status="frozen")
    elif late == "repeated":
        world.consume(account(world, customer, check))
    else:
        world.request_deletion(customer)

    world.consume(report)

    assert differences(world) == []


def test_a_report_during_a_change_of_settings_says_nothing(world: World) -> None:
    check = request(world, world.provider)
    tag = world.call("GET", "/settings").headers["ETag"]
    changed = {"payment_terms_days": 30}
    assert world.call("PATCH", "/settings", changed, headers={"If-Match": tag}).status_code == 200
    world.consume(
        billing.StateReported(
            organization_id=world.provider, check_id=check, account=None, settings_version=0
        )
    )

    assert differences(world) == []


def test_an_organization_is_asked_about_once_until_the_services_have_had_time(
    world: World,
) -> None:
    customer = world.active()
    first = request(world, customer)
    assert request(world, customer) == first
    world.now += queries.CHECK_AGAIN_AFTER
    assert request(world, customer) != first
    with world.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Check)) == 2


def test_an_organization_in_a_saga_is_not_asked_about(world: World) -> None:
    customer = world.customer()

    assert world.run(sagas.request_reports, organization_ids=[customer], now=world.now) == 0
    assert world.published(org.ReportState) == []


def test_newer_settings_of_a_service_are_reported_and_not_overwritten(world: World) -> None:
    check = request(world, world.provider)
    before = len(world.published(org.SettingsChanged))
    world.consume(
        billing.StateReported(
            organization_id=world.provider, check_id=check, account=None, settings_version=9
        )
    )

    assert differences(world) == ["billing settings"]
    assert len(world.published(org.SettingsChanged)) == before
