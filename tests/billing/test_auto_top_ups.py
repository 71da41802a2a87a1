"""Automatic top-ups: ordered when usable credits fall to the threshold, tried at most once a
day."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from billing import actions
from billing.actions.charges import auto_top_ups
from billing.actions.usage.records import UsageRecord
from billing.models import Account, TopUpOrder
from billing.values import parse_money
from chassis.runtime import clock

from tests.billing.conftest import CLERK
from tests.billing.test_concurrency import at_once

NOON = datetime(2027, 3, 10, 4, 0, tzinfo=UTC)  # in Singapore


def prepare(world, method="issue", *, amount="50", threshold=None, funds="1000", topped_up="100"):
    """An account with an automatic top-up and a balance."""
    if funds:
        assert world.call("POST", "/v1/wallet/top-ups", {"amount": funds}).status_code == 201
    org = world.open()
    if topped_up:
        world.top_up(org, topped_up)
    terms = {"enabled": True, "amount": amount, "method": method}
    response = world.patch(
        org, {"auto_top_up": terms | ({"threshold": threshold} if threshold else {})}
    )
    assert response.status_code == 200, response.json
    return org


def charge(world, org, amount, now=None, kind="usage"):
    with world.database.transaction() as session:
        actions.charge(
            session,
            organization_id=org,
            amount=parse_money(amount),
            kind=kind,
            description="x",
            by=CLERK,
            now=now or clock.now(),
        )


def run(world, now=None):
    world.run_jobs("run_auto_top_ups", now=now)


def order(world, org):
    with world.database.reading() as session:
        return session.get(TopUpOrder, org)


def published(world, org, name):
    return [data for kind, data in world.published(org) if kind == name]


def top_ups(world, org):
    rows = world.call("GET", f"/v1/organizations/{org}/account/transactions?kind=top_up").json[
        "data"
    ]
    return [row["amount"] for row in rows if row["description"] == "Top-up by issue"]


@pytest.mark.parametrize(
    ("mistyped", "threshold"), [([], "20.00"), (["900"], "20.00"), (["900", "90"], "20.00")]
)
def test_a_reversed_top_up_leaves_the_threshold_of_the_last_valid_one(world, mistyped, threshold):
    org = prepare(world, topped_up="100")
    transactions = [world.top_up(org, amount) for amount in mistyped]
    for transaction in transactions:
        path = f"transactions/{transaction['id']}/reverse"
        assert world.post(org, path, {"reason": "mistyped"}).status_code == 201

    assert world.account(org)["auto_top_up"]["threshold"] == threshold
    charge(world, org, "79")
    run(world)
    assert top_ups(world, org) == []


def test_without_a_valid_top_up_there_is_no_threshold(world):
    org = prepare(world, topped_up=None)
    only = world.top_up(org, "100")
    world.post(org, f"transactions/{only['id']}/reverse", {"reason": "mistyped"})

    assert world.account(org)["auto_top_up"]["threshold"] is None


@pytest.mark.parametrize("kind", ["usage", "one_off"])
@pytest.mark.parametrize(
    ("charged", "made"), [("79.999999", []), ("80", ["50.00"]), ("80.000001", ["50.00"])]
)
def test_the_default_threshold_is_a_fifth_of_the_last_top_up_and_reaching_it_is_enough(
    world, charged, made, kind
):
    org = prepare(world)
    charge(world, org, charged, kind=kind)
    run(world)
    assert top_ups(world, org) == made
    assert order(world, org) is None


def test_the_records_of_an_automatic_top_up(world):
    org = prepare(world, threshold="30")
    charge(world, org, "71.25")
    run(world)
    assert world.account(org)["balance"] == "78.75"
    assert world.call("GET", "/v1/wallet").json["data"][0]["usable"] == "921.25"
    audit = world.last_published(org, "audit_recorded")
    assert (audit["action"], audit["actor"]["kind"], audit["reason"]) == (
        "account.topped_up",
        "system",
        "Automatic top-up",
    )
    with world.database.reading() as session:
        account = session.get_one(Account, org)
        assert account.auto_last_on == clock.now().astimezone(ZoneInfo(account.timezone)).date()


def test_no_order_without_an_earlier_top_up_or_a_threshold(world):
    org = prepare(world, topped_up=None)
    world.patch(org, {"credit_limit": "5"})
    charge(world, org, "5")
    assert order(world, org) is None


def test_a_batch_of_usage_orders_a_top_up(world):
    org = prepare(world)
    record = UsageRecord(world.provider_id, "r1", org, 90_000_000, clock.now(), "x")
    with world.database.transaction() as session:
        assert actions.record_usage(session, by=CLERK, records=[record], now=clock.now()) == [
            "accepted"
        ]
    run(world)
    assert top_ups(world, org) == ["50.00"]


@pytest.mark.parametrize("patch", [{"enabled": True}, {"threshold": "60"}])
def test_switching_it_on_below_the_threshold_orders_a_top_up(world, patch):
    org = world.open()
    world.call("POST", "/v1/wallet/top-ups", {"amount": "1000"})
    world.top_up(org, "100")
    terms = {
        "enabled": "enabled" not in patch,
        "amount": "50",
        "method": "issue",
        "threshold": "60" if "enabled" in patch else "10",
    }
    assert world.patch(org, {"auto_top_up": terms}).status_code == 200
    charge(world, org, "50")
    assert order(world, org) is None
    assert world.patch(org, {"auto_top_up": patch}).status_code == 200
    run(world)
    assert top_ups(world, org) == ["50.00"]


def test_a_lower_credit_limit_orders_a_top_up(world):
    org = prepare(world, topped_up=None, threshold="5")
    run(world)
    assert top_ups(world, org) == ["50.00"]
    low = world.open(limit="100")
    assert world.patch(
        low, {"auto_top_up": {"enabled": True, "amount": "1", "method": "issue", "threshold": "9"}}
    )
    assert order(world, low) is None
    assert world.patch(low, {"credit_limit": "9"}).status_code == 200
    assert order(world, low) is not None


def test_one_order_however_many_charges(world):
    org = prepare(world)
    for _ in range(5):
        charge(world, org, "20")
    run(world)
    run(world)
    assert top_ups(world, org) == ["50.00"]


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("America/New_York", date(2027, 3, 13)),
        ("Asia/Beirut", date(2027, 3, 27)),
        ("America/Havana", date(2027, 11, 6)),
    ],
)
def test_one_top_up_per_day_in_the_accounts_time_zone_also_when_clocks_change(world, zone, day):
    org = prepare(world, amount="1", threshold="100", topped_up=None)
    with world.database.transaction() as session:
        session.get_one(Account, org).timezone = zone
    begins = datetime(day.year, day.month, day.day, 22, 30, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    for half_hours in (*range(8), *range(44, 60)):
        run(world, begins + timedelta(minutes=30 * half_hours))
    made = [
        datetime.fromisoformat(row["at"]).astimezone(ZoneInfo(zone))
        for row in published(world, org, "audit_recorded")
        if row["action"] == "account.topped_up"
    ]
    assert [moment.date() for moment in made] == [day + timedelta(days=n) for n in range(3)]
    assert all(moment.hour <= 1 for moment in made[1:])


def test_the_second_top_up_of_a_day_is_postponed_to_midnight(world):
    org = prepare(world, amount="20", threshold="20")
    charge(world, org, "90", NOON)
    run(world, NOON)
    charge(world, org, "29", NOON + timedelta(hours=1))
    run(world, NOON + timedelta(hours=2))
    midnight = datetime(2027, 3, 10, 16, 0, tzinfo=UTC)
    assert (top_ups(world, org), order(world, org).due_at) == (["20.00"], midnight)
    run(world, midnight - timedelta(microseconds=1))
    assert top_ups(world, org) == ["20.00"]
    run(world, midnight)
    assert top_ups(world, org) == ["20.00"] * 2


def test_a_refused_top_up_is_tried_once_a_day_and_published(world):
    org = prepare(world, funds=None)
    charge(world, org, "90", NOON)
    for hours in range(0, 72, 3):
        run(world, NOON + timedelta(hours=hours))
        charge(world, org, "0.01", NOON + timedelta(hours=hours))
    failed = published(world, org, "auto_top_up_failed")
    assert len(failed) == 4 and top_ups(world, org) == []
    assert failed[0] == {
        "organization_id": org,
        "provider_id": world.provider_id,
        "currency": "SGD",
        "amount": "50.00",
        "method": "issue",
        "usable_credits": "10.00",
        "why": "provider_credits_insufficient",
    }
    audit = [
        row
        for row in published(world, org, "audit_recorded")
        if row["action"] == "account.auto_top_up_failed"
    ]
    assert len(audit) == 4
    assert (audit[0]["outcome"], audit[0]["reason"]) == ("error", "provider_credits_insufficient")
    world.call("POST", "/v1/wallet/top-ups", {"amount": "1000"})
    run(world, NOON + timedelta(hours=71))
    assert top_ups(world, org) == []
    run(world, NOON + timedelta(days=4))
    assert top_ups(world, org) == ["50.00"]


def test_a_refused_top_up_leaves_the_account_unchanged(world):
    org = prepare(world, amount="999999999999", funds="999999999999", threshold="20")
    world.call("POST", "/v1/wallet/top-ups", {"amount": "1"})
    charge(world, org, "90")
    world.patch(org, {"credit_limit": "10"})
    with world.database.reading() as session:
        before = session.get_one(Account, org)
    run(world)
    with world.database.reading() as session:
        after = session.get_one(Account, org)
    assert (before.prepaid, before.seq, before.last_top_up) == (
        after.prepaid,
        after.seq,
        after.last_top_up,
    )
    assert len(published(world, org, "auto_top_up_failed")) == 1


@pytest.mark.parametrize("method", ["cheque", "bank_transfer"])
def test_the_customer_is_asked_once_a_day_for_money_that_cannot_be_drawn(world, method):
    org = prepare(world, method)
    for hours in (0, 1, 2, 24, 25):
        charge(world, org, "81" if not hours else "1", NOON + timedelta(hours=hours))
        run(world, NOON + timedelta(hours=hours))
    wanted = published(world, org, "top_up_wanted")
    assert [message["usable_credits"] for message in wanted] == ["19.00", "16.00"]
    assert wanted[0] == {
        "organization_id": org,
        "provider_id": world.provider_id,
        "name": "Acme",
        "email": "bills@acme.example",
        "currency": "SGD",
        "amount": "50.00",
        "method": method,
        "usable_credits": "19.00",
    }
    assert published(world, org, "auto_top_up_failed") == []


def test_a_request_below_the_threshold_orders_a_top_up_again(world):
    org = prepare(world, "bank_transfer")
    world.charge(org, "81")
    run(world)
    assert order(world, org) is None  # the customer was asked

    world.charge(org, "1")

    assert order(world, org) is not None


def test_a_missing_card_is_a_failure(world, cards):
    org = world.open()
    world.top_up(org, "100")
    world.store_card(org)
    assert (
        world.patch(
            org, {"auto_top_up": {"enabled": True, "amount": "5", "method": "card"}}
        ).status_code
        == 200
    )
    with world.database.transaction() as session:
        session.get_one(Account, org).payment_method = None
    charge(world, org, "90")
    run(world)
    assert [message["why"] for message in published(world, org, "auto_top_up_failed")] == [
        "payment_method_missing"
    ]


def test_a_top_up_by_card(world, cards):
    org = world.open()
    world.top_up(org, "100")
    world.store_card(org)
    assert (
        world.patch(
            org, {"auto_top_up": {"enabled": True, "amount": "5", "method": "card"}}
        ).status_code
        == 200
    )
    charge(world, org, "90")
    run(world)
    assert world.account(org)["balance"] == "15.00"


@pytest.mark.parametrize("why", ["topped up", "switched off", "closed"])
def test_an_order_that_is_no_longer_needed_is_deleted(world, why):
    org = prepare(world)
    charge(world, org, "90")
    assert order(world, org) is not None
    if why == "topped up":
        world.top_up(org, "20.01")
    elif why == "switched off":
        world.patch(org, {"auto_top_up": {"enabled": False}})
    else:
        world.withdraw(org, "10")
        with world.database.transaction() as session:
            actions.close_account(session, organization_id=org, deletion_id="d1", now=clock.now())
    run(world)
    assert (top_ups(world, org), order(world, org)) == ([], None)


def test_a_suspended_organization_is_topped_up_once_active_again(world):
    org = prepare(world)
    charge(world, org, "90")
    with world.database.transaction() as session:
        actions.freeze_account(session, organization_id=org, now=clock.now())
    run(world)
    assert (top_ups(world, org), order(world, org)) == ([], None)
    with world.database.transaction() as session:
        actions.reopen_account(
            session, organization_id=org, conversation_id="c", frozen=False, now=clock.now()
        )
    run(world)
    assert top_ups(world, org) == ["50.00"]


def test_a_crash_loses_no_order_and_makes_none_twice(world, monkeypatch):
    org = prepare(world)
    charge(world, org, "90")
    posted = auto_top_ups.top_ups.top_up

    def die(*arguments, **named):
        posted(*arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(auto_top_ups.top_ups, "top_up", die)
        with pytest.raises(KeyboardInterrupt):
            run(world)
    assert top_ups(world, org) == [] and order(world, org) is not None
    run(world)
    run(world)
    assert top_ups(world, org) == ["50.00"]


def test_after_a_crash_between_refusal_and_its_record_it_is_refused_again(world, monkeypatch):
    org = prepare(world, funds=None)
    charge(world, org, "90")

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(actions, "record_failed_top_up", die)
        with pytest.raises(KeyboardInterrupt):
            run(world)
    run(world)
    assert len(published(world, org, "auto_top_up_failed")) == 1


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("funds", ["1000", None])
def test_concurrent_jobs_try_once(world, funds):
    orgs = [prepare(world, amount="10", funds=funds) for _ in range(4)]
    for org in orgs:
        charge(world, org, "95")
    at_once(*[lambda: run(world)] * 6)
    for org in orgs:
        assert len(top_ups(world, org)) == (1 if funds else 0)
        assert len(published(world, org, "auto_top_up_failed")) == (0 if funds else 1)


def test_a_failing_account_does_not_block_others(world, monkeypatch):
    failing, other = prepare(world), prepare(world)
    for org in (failing, other):
        charge(world, org, "90")
    try_it = actions.run_auto_top_up

    def fail_for_the_first(session, *, organization_id, now):
        if organization_id == failing:
            raise ZeroDivisionError
        try_it(session, organization_id=organization_id, now=now)

    with monkeypatch.context() as patched:
        patched.setattr(actions, "run_auto_top_up", fail_for_the_first)
        run(world)
        assert (top_ups(world, failing), top_ups(world, other)) == ([], ["50.00"])
    run(world)
    assert top_ups(world, failing) == ["50.00"]


def test_the_balance_says_whether_a_top_up_is_needed(world):
    org = prepare(world, funds=None)

    def needed():
        world.run_jobs()
        return published(world, org, "balance_changed")[-1]["top_up_needed"]

    assert needed() is False
    charge(world, org, "90")
    assert needed() is True
    world.patch(org, {"auto_top_up": {"enabled": False}})
    assert needed() is False
