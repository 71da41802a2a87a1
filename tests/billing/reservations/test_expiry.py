"""Reservations that expire, whether or not the job has run."""

from datetime import timedelta

import pytest
from billing import actions, queries
from billing.actions.ledger.refusals import InsufficientCredits, ReservationExpired
from billing.models import Reservation, UnpublishedBalance
from chassis.runtime import clock

from tests.billing.conftest import CLERK
from tests.billing.reservations.conftest import (
    NOW,
    TICK,
    at,
    expire_due,
    figures,
    hold,
    kinds,
    reserve,
    settle,
)


@pytest.mark.parametrize(("late", "gone"), [(-TICK, False), (0 * TICK, True), (TICK, True)])
@pytest.mark.parametrize("act", [actions.capture, actions.release])
def test_it_expires_to_the_microsecond_whether_or_not_the_job_has_run(world, late, gone, act):
    ends = NOW + timedelta(seconds=60)
    for is_swept in (False, True):
        org = world.open(limit="100")
        made = hold(world, org, "30")
        if is_swept:
            expire_due(world, ends + late)
        if gone:
            with pytest.raises(ReservationExpired):
                at(world, ends + late, act, by=CLERK, organization_id=org, reservation_id=made)
        else:
            assert (
                at(world, ends + late, act, by=CLERK, organization_id=org, reservation_id=made)[
                    "status"
                ]
                != "open"
            )


@pytest.mark.parametrize(("late", "status"), [(-TICK, "open"), (0 * TICK, "expired")])
def test_it_is_listed_under_its_status_at_the_moment(world, late, status):
    org = world.open(limit="100")
    made, moment = hold(world, org, "30"), NOW + timedelta(seconds=60) + late
    with world.database.reading() as session:
        listed = {
            each: session.scalars(queries.reservations(org, now=moment, status=each)).all()
            for each in ("open", "captured", "released", "expired")
        }
        one = queries.get_reservation(session, org, made)
        assert queries.show_reservation(one, "SGD", moment)["status"] == status
    assert {each: [row.id for row in rows] for each, rows in listed.items() if rows} == {
        status: [made]
    }


def test_it_reads_expired_while_its_capture_is_410_before_the_job_runs(world):
    org = world.open(limit="100")
    made = {"id": hold(world, org, "30")}
    path = f"/v1/organizations/{org}/account/reservations"

    def shown():
        listed = world.call("GET", f"{path}?status=expired").json["data"]
        assert world.call("GET", f"{path}?status=open").json["data"] == []
        one = world.call("GET", f"{path}/{made['id']}").json
        assert listed == [one]
        return one["status"], one["released"], world.account(org)["reserved_credits"]

    assert settle(world, org, made, "capture").status_code == 410
    assert shown() == ("expired", "0.00", "30.00")
    expire_due(world, clock.now())
    assert shown() == ("expired", "30.00", "0.00")


def test_an_expired_reservation_answers_410_permanently(world):
    org = world.open(limit="100")
    made = {"id": hold(world, org, "30")}
    first = settle(world, org, made, "capture", key="one")
    assert (first.status_code, first.json["code"]) == (410, "reservation_expired")
    expire_due(world, clock.now())
    again = settle(world, org, made, "capture", key="one")
    assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")
    assert settle(world, org, made, "release").status_code == 410


def test_the_result_is_the_same_however_late_the_job_runs(world):
    ends, results = NOW + timedelta(seconds=60), []
    for late in (0 * TICK, timedelta(hours=1), timedelta(days=400)):
        org = world.open(limit="100")
        made = hold(world, org, "30")
        at(
            world,
            NOW,
            actions.capture,
            by=CLERK,
            organization_id=org,
            reservation_id=made,
            amount=10 * 10**6,
            final=False,
        )
        expire_due(world, ends - TICK)
        assert figures(world, org)[2] == "20.00"
        expire_due(world, ends + late)
        with world.database.reading() as session:
            reservation = session.get_one(Reservation, (org, made))
            assert session.get(UnpublishedBalance, org)
        published = [data for name, data in world.published(org) if name == "reservation_expired"]
        assert len(published) == 1 and published[0].pop("reservation_id") == made
        results.append(
            (
                reservation.status,
                reservation.captured,
                reservation.released,
                reservation.settled_at,
                figures(world, org),
                {name: value for name, value in published[0].items() if name != "organization_id"},
                kinds(world, org),
            )
        )
    assert results[0] == results[1] == results[2]
    assert results[0] == (
        "expired",
        10 * 10**6,
        20 * 10**6,
        ends,
        ("-10.00", "90.00", "0.00"),
        {
            "provider_id": world.provider_id,
            "currency": "SGD",
            "amount": "30.00",
            "captured": "10.00",
            "released": "20.00",
            "expired_at": "2026-03-01T12:01:00.000000Z",
        },
        ["reservation", "capture", "expiry"],
    )


def test_a_settled_reservation_does_not_expire(world):
    org = world.open(limit="100")
    for act in (actions.capture, actions.release):
        at(world, NOW, act, by=CLERK, organization_id=org, reservation_id=hold(world, org, "30"))
    before = world.stored_rows(org)
    expire_due(world, NOW + timedelta(days=1))
    assert world.stored_rows(org) == before


def test_the_job_expires_at_most_the_limit(world):
    orgs = [world.open(limit="100") for _ in range(2)]
    for org in orgs * 2:
        hold(world, org, "1")
    later = NOW + timedelta(seconds=60)
    assert [at(world, later, actions.expire_reservations, limit=3) for _ in range(3)] == [3, 1, 0]


@pytest.mark.parametrize("mode", ["prepaid", "postpaid"])
def test_an_expired_reservation_does_not_block_a_charge_before_the_job_runs(world, mode):
    later = NOW + timedelta(seconds=60)
    org = world.open(mode, limit="100")
    charge = {"organization_id": org, "kind": "one_off", "description": "x", "by": CLERK}
    hold(world, org, "100")
    with pytest.raises(InsufficientCredits):
        at(world, later - TICK, actions.charge, amount=1, **charge)
    at(world, later, actions.charge, amount=60 * 10**6, **charge)
    assert kinds(world, org) == ["reservation", "expiry", "one_off"]
    assert [name for name, _ in world.published(org)].count("reservation_expired") == 1
    hold(world, org, "40", at_=later)
    hold(world, org, "40", at_=later + timedelta(seconds=60))
    assert figures(world, org) == ("-100.00" if mode == "prepaid" else "-60.00", "0.00", "40.00")


def test_a_refusal_leaves_expired_reservations_unchanged(world):
    org = world.open(limit="100")
    hold(world, org, "30")
    before = world.stored_rows(org)
    refused = world.post(org, "charges", {"amount": "100.5", "kind": "usage", "description": "x"})
    assert (refused.json["usable"], refused.json["shortfall"]) == ("100.00", "0.50")
    assert world.stored_rows(org) == before


def test_an_expired_reservation_does_not_block_a_withdrawal_before_the_job_runs(world):
    org = world.open()
    world.top_up(org, "30")
    hold(world, org, "30")
    world.withdraw(org, "30")
    assert figures(world, org) == ("0.00", "0.00", "0.00")


def test_a_reservation_of_the_largest_limit_expires_and_blocks_no_other(world):
    largest, other = world.open(limit="999999999999.999999"), world.open(limit="100")
    for org in (largest, other):
        reserve(world, org, "5", expires_in=1)
    assert (
        world.post(largest, "top-ups", {"amount": "5", "method": "cash"}).json["code"]
        == "amount_too_large"
    )
    expire_due(world, clock.now() + timedelta(minutes=1))
    assert [figures(world, org)[2] for org in (largest, other)] == ["0.00", "0.00"]
