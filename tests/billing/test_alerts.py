"""Low-credit alerts: one each time usable credits fall to the provider's threshold."""

from datetime import timedelta

import pytest
from billing import actions
from billing.actions.accounts.alerts import is_crossing, needs_top_up
from billing.actions.usage.records import UsageRecord
from billing.models import Account
from billing.values import parse_money
from chassis.runtime import clock, ids
from sqlalchemy import select

from tests.billing.conftest import CLERK
from tests.billing.test_concurrency import at_once

TWENTY = 20_000_000


def alerts(world, org):
    world.run_jobs()
    return [data for name, data in world.published(org) if name == "credits_low"]


def charge_later(world, org, amount, now):
    with world.database.transaction() as session:
        actions.charge(
            session,
            organization_id=org,
            amount=parse_money(amount),
            kind="usage",
            description="x",
            by=CLERK,
            now=now,
        )


@pytest.mark.parametrize(
    ("before", "usable", "crosses"),
    [
        (TWENTY + 1, TWENTY, True),
        (TWENTY + 1, TWENTY - 1, True),
        (TWENTY, TWENTY - 1, False),
        (TWENTY + 2, TWENTY + 1, False),
        (TWENTY, TWENTY + 1, False),
        (0, 0, False),
    ],
)
def test_reaching_the_threshold_is_enough(before, usable, crosses):
    assert is_crossing(before, usable, TWENTY) is crosses


def test_a_top_up_is_due_at_the_threshold_of_open_accounts():
    assert needs_top_up("open", 5, 5) and needs_top_up("open", 4, 5)
    assert not needs_top_up("open", 6, 5) and not needs_top_up("open", 0, None)
    assert not needs_top_up("frozen", 0, 5) and not needs_top_up("closed", 0, 5)


@pytest.mark.parametrize(("charged", "sent"), [("79.999999", 0), ("80", 1), ("80.000001", 1)])
@pytest.mark.parametrize("kind", ["usage", "one_off"])
def test_the_alert_is_sent_at_the_millionth_that_reaches_the_threshold(world, charged, sent, kind):
    org = world.open()
    world.top_up(org, "100")
    world.charge(org, charged, kind=kind)
    assert len(alerts(world, org)) == sent


def test_the_content_of_the_alert(world):
    org = world.open(limit="10")
    world.top_up(org, "100")
    world.charge(org, "95.5")
    (alert,) = alerts(world, org)
    assert alert.pop("crossed_at").endswith("Z")
    assert alert == {
        "organization_id": org,
        "provider_id": world.provider_id,
        "name": "Acme",
        "email": "bills@acme.example",
        "currency": "SGD",
        "usable_credits": "14.50",
        "threshold": "20.00",
    }


def test_one_alert_for_each_fall_below_the_threshold(world):
    org = world.open()
    assert alerts(world, org) == []
    world.top_up(org, "30")
    for amount in ("10", "1", "2"):
        world.charge(org, amount)
    assert [alert["usable_credits"] for alert in alerts(world, org)] == ["20.00"]
    world.top_up(org, "50")
    world.charge(org, "60")
    world.charge(org, "1")
    assert [alert["usable_credits"] for alert in alerts(world, org)] == ["20.00", "7.00"]


def test_two_falls_before_the_job_runs_are_two_alerts(world):
    org = world.open()
    for _ in range(2):
        world.top_up(org, "25")
        world.charge(org, "25")
    assert len(alerts(world, org)) == 2


@pytest.mark.parametrize("kind", ["usage", "one_off"])
def test_postpaid_accounts_run_low_on_their_limit(world, kind):
    org = world.open("postpaid", limit="100")
    world.charge(org, "79.999999", kind=kind)
    assert alerts(world, org) == []
    world.charge(org, "0.000001", kind=kind)
    assert len(alerts(world, org)) == 1


def test_the_providers_own_threshold(world):
    with world.database.transaction() as session:
        actions.apply_settings(
            session,
            provider_id=world.provider_id,
            version=7,
            settings={"low_credit_threshold": "5.5"},
        )
    org = world.open()
    world.top_up(org, "30")
    world.charge(org, "24")
    assert alerts(world, org) == []
    world.charge(org, "0.5")
    assert [alert["threshold"] for alert in alerts(world, org)] == ["5.50"]


def test_a_threshold_of_zero_alerts_when_nothing_is_left(world):
    with world.database.transaction() as session:
        actions.apply_settings(
            session,
            provider_id=world.provider_id,
            version=7,
            settings={"low_credit_threshold": "0"},
        )
    org = world.open()
    world.top_up(org, "1")
    world.charge(org, "0.999999")
    assert alerts(world, org) == []
    world.charge(org, "0.000001")
    assert len(alerts(world, org)) == 1


def test_an_unknown_provider_has_the_default_threshold(world):
    world.provider_id = ids.new("org")
    org = world.open(limit="100")
    world.charge(org, "80")
    assert [alert["threshold"] for alert in alerts(world, org)] == ["20.00"]


def test_a_lower_limit_crosses_too_and_a_higher_one_does_not(world):
    org = world.open(limit="100")
    assert world.patch(org, {"credit_limit": "19"}).status_code == 200
    assert len(alerts(world, org)) == 1
    assert world.patch(org, {"credit_limit": "18"}).status_code == 200
    assert world.patch(org, {"credit_limit": "500"}).status_code == 200
    assert len(alerts(world, org)) == 1


def test_a_change_of_payment_mode_does_not_change_usable_credits(world):
    org = world.open(limit="100")
    world.charge(org, "90")
    assert len(alerts(world, org)) == 1
    assert world.patch(org, {"payment_mode": "postpaid"}).status_code == 200
    assert world.account(org)["usable_credits"] == "10.00"
    assert len(alerts(world, org)) == 1
    rich = world.open(limit="10")
    world.top_up(rich, "500")
    assert world.patch(rich, {"payment_mode": "postpaid"}).status_code == 200
    assert alerts(world, rich) == []


def expire_credit_limits(world, now):
    world.run_jobs("expire_credit_limits", now=now)


@pytest.mark.parametrize("noticed", ["by the clock", "by a patch"])
def test_the_end_of_a_temporary_limit_crosses_too(world, noticed):
    org, now = world.open(limit="10"), clock.now()
    ends = now + timedelta(days=1)
    with world.database.transaction() as session:
        session.get_one(Account, org).set_limit(100_000_000, ends)
    if noticed == "by the clock":
        expire_credit_limits(world, ends)
    else:
        with world.database.transaction() as session:
            actions.change_account(
                session, organization_id=org, patch={}, check=lambda known: None, now=ends, by=CLERK
            )
    expire_credit_limits(world, ends)
    (alert,) = alerts(world, org)
    assert (alert["usable_credits"], alert["crossed_at"]) == ("10.00", clock.stamp(ends))
    assert world.last_published(org, "balance_changed")["credit_limit"] == "10.00"


def test_a_charge_between_the_end_of_a_limit_and_its_notice_is_counted_once(world):
    org, now = world.open(limit="30"), clock.now()
    ends = now + timedelta(days=1)
    with world.database.transaction() as session:
        session.get_one(Account, org).set_limit(100_000_000, ends)
    charge_later(world, org, "15", ends + timedelta(seconds=1))
    expire_credit_limits(world, ends + timedelta(seconds=2))
    assert [alert["usable_credits"] for alert in alerts(world, org)] == ["15.00"]


def test_no_alert_for_an_account_closed_in_the_meantime(world):
    org = world.open()
    world.top_up(org, "30")
    world.withdraw(org, "30")
    with world.database.transaction() as session:
        actions.close_account(session, organization_id=org, deletion_id="d1", now=clock.now())
    assert alerts(world, org) == []


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_concurrent_charges_cross_once_and_alert_once(world):
    org = world.open()
    world.top_up(org, "100")
    token, clients = world.token(), [world.client.application.test_client() for _ in range(8)]

    def charge(client, number):
        body = {"amount": "12", "kind": "usage", "description": "x"}
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"{org}-{number}"}
        return client.post(
            f"/v1/organizations/{org}/account/charges", json=body, headers=headers
        ).status_code

    responses = at_once(
        *[lambda client=client, n=n: charge(client, n) for n, client in enumerate(clients)]
    )
    assert responses == [201] * 8
    at_once(*[world.run_jobs] * 4)
    assert len(alerts(world, org)) == 1


def test_a_batch_of_usage_crosses_once(world):
    org, other = world.open(), world.open()
    for account in (org, other):
        world.top_up(account, "30")
    records = [
        UsageRecord(world.provider_id, f"r{n}", organization, 6_000_000, clock.now(), "x")
        for n, organization in enumerate([org] * 4 + [other])
    ]
    with world.database.transaction() as session:
        assert (
            actions.record_usage(session, by=CLERK, records=records, now=clock.now())
            == ["accepted"] * 5
        )
    assert [alert["usable_credits"] for alert in alerts(world, org)] == ["6.00"]
    assert alerts(world, other) == []
    with world.database.reading() as session:
        assert (
            session.scalars(select(Account.prepaid).where(Account.organization_id == other)).one()
            == 24_000_000
        )
