"""Reservations that are captured and released, and what they hold meanwhile."""

from datetime import datetime, timedelta

import pytest
from billing import actions
from billing.actions.ledger.refusals import ReservationSettled
from billing.models import Account, Reservation
from chassis.runtime import clock, ids

from tests.billing.conftest import CLERK
from tests.billing.reservations.conftest import BODY, NOW, at, figures, hold, reserve, settle


def test_the_worked_example(world):
    org = world.open(limit="100")
    world.top_up(org, "50")
    first = reserve(world, org, "30")
    assert figures(world, org) == ("20.00", "120.00", "30.00")
    assert settle(world, org, first, "capture").status_code == 200
    assert figures(world, org) == ("20.00", "120.00", "0.00")
    second = reserve(world, org, "30")
    world.top_up(org, "30")
    assert settle(world, org, second, "release").status_code == 200
    assert figures(world, org) == ("50.00", "150.00", "0.00")


def test_the_response_of_a_reservation(world):
    org = world.open(limit="100")
    made = reserve(world, org, "30", expires_in=90)
    assert ids.is_id("res", made["id"])
    made_at, ends = (datetime.fromisoformat(made[name]) for name in ("created_at", "expires_at"))
    assert ends - made_at == timedelta(seconds=90)
    assert {name: made[name] for name in made if not name.endswith("_at")} == {
        "id": made["id"],
        "organization_id": org,
        "amount": "30.00",
        "captured": "0.00",
        "released": "0.00",
        "status": "open",
        "description": "A call",
    }
    default = reserve(world, org, "1")
    assert datetime.fromisoformat(default["expires_at"]) - datetime.fromisoformat(
        default["created_at"]
    ) == timedelta(hours=1)


def test_a_postpaid_reservation_holds_usable_credits_and_a_capture_adds_to_unbilled(world):
    org = world.open("postpaid", limit="100")
    world.top_up(org, "20")
    made = reserve(world, org, "110")
    assert figures(world, org) == ("20.00", "10.00", "110.00")
    assert (
        world.post(org, "reservations", {**BODY, "amount": "10.000001"}).json["code"]
        == "insufficient_credits"
    )
    settle(world, org, made, "capture", {"amount": "40"})
    shown = world.account(org)
    assert (shown["expecting_invoice"], shown["amount_due"], shown["usable_credits"]) == (
        "-40.00",
        "20.00",
        "80.00",
    )


def test_parts_are_captured_until_nothing_is_left(world):
    org = world.open(limit="100")
    made = reserve(world, org, "30")
    for part, captured, status in (
        ("10", "10.00", "open"),
        ("0.000001", "10.000001", "open"),
        ("19.999999", "30.00", "captured"),
    ):
        done = settle(world, org, made, "capture", {"amount": part, "final": False}).json
        assert (done["captured"], done["released"], done["status"]) == (captured, "0.00", status)
    assert figures(world, org) == ("-30.00", "70.00", "0.00")
    assert settle(world, org, made, "capture").json["code"] == "reservation_settled"


def test_a_final_capture_releases_the_rest_in_the_same_transaction(world):
    org = world.open(limit="100")
    made = reserve(world, org, "30")
    settle(world, org, made, "capture", {"amount": "5", "final": False})
    done = settle(world, org, made, "capture", {"amount": "12", "cost": "4"}).json
    assert (done["captured"], done["released"], done["status"]) == ("17.00", "13.00", "captured")
    assert figures(world, org) == ("-17.00", "83.00", "0.00")
    path = f"/v1/organizations/{org}/account/transactions"
    newest = world.call("GET", path).json["data"][0]
    assert {
        name: newest[name]
        for name in ("kind", "amount", "reserved", "reservation_id", "description", "cost")
    } == {
        "kind": "capture",
        "amount": "-12.00",
        "reserved": "-25.00",
        "reservation_id": made["id"],
        "description": "A call",
        "cost": "4.00",
    }
    entries = world.call("GET", f"{path}/{newest['id']}").json["entries"]
    assert [(e["account"], e["debit"], e["credit"]) for e in entries] == [
        ("held", "25.00", "0.00"),
        ("set_aside", "0.00", "25.00"),
        ("prepaid", "12.00", "0.00"),
        ("revenue", "0.00", "12.00"),
        ("cost", "4.00", "0.00"),
        ("wallet", "0.00", "4.00"),
    ]
    customer = world.call(
        "GET", f"{path}/{newest['id']}", token=world.token("customer", "owner", org)
    ).json
    assert "cost" not in customer and len(customer["entries"]) == 4


def test_release_frees_all_that_is_left(world):
    org = world.open(limit="100")
    made = reserve(world, org, "30")
    settle(world, org, made, "capture", {"amount": "5", "final": False})
    done = settle(world, org, made, "release", {}).json
    assert (done["captured"], done["released"], done["status"]) == ("5.00", "25.00", "released")
    for verb in ("capture", "release"):
        again = settle(world, org, made, verb)
        assert (again.status_code, again.json["code"]) == (409, "reservation_settled")
    assert figures(world, org) == ("-5.00", "95.00", "0.00")


def test_a_capture_cannot_exceed_what_is_left(world):
    org = world.open(limit="100")
    made = reserve(world, org, "30")
    settle(world, org, made, "capture", {"amount": "5", "final": False})
    before = world.stored_rows(org)
    refused = settle(world, org, made, "capture", {"amount": "25.000001"})
    assert (refused.status_code, refused.json["code"], refused.json["left"]) == (
        409,
        "capture_exceeds_reservation",
        "25.00",
    )
    assert world.stored_rows(org) == before
    assert settle(world, org, made, "capture", {"amount": "25"}).json["status"] == "captured"


def test_a_capture_needs_no_credit_check_and_works_while_frozen_but_a_reservation_does_not(world):
    org = world.open(limit="100")
    first, second = reserve(world, org, "60"), reserve(world, org, "40")
    world.patch(org, {"credit_limit": "0"})
    with world.database.transaction() as session:
        actions.freeze_account(session, organization_id=org, now=clock.now())
    assert world.post(org, "reservations", BODY).json["code"] == "account_frozen"
    assert settle(world, org, first, "capture").status_code == 200
    assert settle(world, org, second, "release").status_code == 200
    assert figures(world, org) == ("-60.00", "-60.00", "0.00")


def test_a_reservation_blocks_closing_and_a_closed_account_accepts_none(world):
    org = world.open(limit="100")
    made = reserve(world, org, "30")

    def close():
        with world.database.transaction() as session:
            actions.close_account(session, organization_id=org, deletion_id="d1", now=clock.now())

    close()
    blockers = world.last_published(org, "account_not_closed")["blockers"]
    assert ("credits_reserved", "30.00") in [
        (blocker["code"], blocker["amount"]) for blocker in blockers
    ]
    settle(world, org, made, "release")
    close()
    assert world.post(org, "reservations", BODY).json["code"] == "account_closed"
    for verb in ("capture", "release"):
        response = settle(world, org, made, verb)
        assert (response.status_code, response.json["code"]) == (409, "account_closed")


def test_a_repeated_capture_has_one_effect(world):
    org = world.open(limit="100")
    made = reserve(world, org, "30")
    body = {"amount": "10", "final": False}
    first, again = (settle(world, org, made, "capture", body, key="one") for _ in range(2))
    assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")
    assert figures(world, org) == ("-30.00", "70.00", "20.00")
    for verb in ("capture", "release"):
        assert (
            settle(world, org, made, verb, {}, key=None).json["code"] == "idempotency_key_required"
        )


def test_the_held_amount_equals_the_open_reservations_through_changes_of_payment_mode(world):
    org = world.open(limit="100")
    world.top_up(org, "50")
    made = reserve(world, org, "60")
    world.patch(org, {"payment_mode": "postpaid"})
    assert figures(world, org) == ("50.00", "90.00", "60.00")
    settle(world, org, made, "capture", {"amount": "20", "final": False})
    shown = world.account(org)
    assert (shown["expecting_invoice"], shown["amount_due"], shown["reserved_credits"]) == (
        "-20.00",
        "50.00",
        "40.00",
    )
    with world.database.reading() as session:
        reservation, account = (
            session.get_one(Reservation, (org, made["id"])),
            session.get_one(Account, org),
        )
    settled = reservation.captured + reservation.released
    assert (reservation.amount - settled, settled) == (account.held, 20 * 10**6)


def test_settling_twice_is_refused(world):
    org = world.open(limit="100")
    made = hold(world, org, "30")
    at(world, NOW, actions.release, by=CLERK, organization_id=org, reservation_id=made)
    with pytest.raises(ReservationSettled):
        at(
            world,
            NOW + timedelta(days=1),
            actions.capture,
            by=CLERK,
            organization_id=org,
            reservation_id=made,
        )
