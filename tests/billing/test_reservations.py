"""Reservations: held, captured, released, expired; and their part in refusals."""

from datetime import UTC, datetime, timedelta

import pytest
from billing import actions
from billing.actions.charges.credit_check import InsufficientCredits
from billing.actions.reservations.reservations import ReservationExpired, ReservationSettled
from billing.models import Account, Entry, Reservation, UnpublishedBalance
from billing.values import parse_money
from chassis.audit import AuditEntry
from chassis.runtime import clock, ids
from sqlalchemy import event, select

from tests.billing.conftest import CLERK
from tests.billing.test_values import BAD

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
ACT = {"sub": "idn_x", "org": "org_x", "sid": "ses_x", "mode": "login_as", "access": "full"}
BODY = {"amount": "10", "description": "A call"}


def reserve(world, org, amount, **more):
    response = world.post(org, "reservations", {"amount": amount, "description": "A call", **more})
    assert response.status_code == 201, response.json
    return response.json


def settle(world, org, reservation, verb, body=None, **options):
    return world.post(org, f"reservations/{reservation['id']}/{verb}", body, **options)


def figures(world, org):
    shown = world.account(org)
    return shown["balance"], shown["usable_credits"], shown["reserved_credits"]


def kinds(world, org):
    """The kinds of the organization's transactions, oldest first."""
    with world.database.reading() as session:
        first = (
            select(Entry.kind)
            .where(Entry.organization_id == org, Entry.part == 0)
            .order_by(Entry.seq)
        )
        return session.scalars(first).all()


def at(world, moment, act, **arguments):
    with world.database.transaction() as session:
        return act(session, now=moment, **arguments)


def hold(world, org, amount, *, at_=NOW, seconds=60):
    """Make a reservation at a given moment; returns its id."""
    return at(
        world,
        at_,
        actions.reserve,
        by=CLERK,
        organization_id=org,
        amount=parse_money(amount),
        description="A call",
        expires_in=seconds,
    )["id"]


def expire_due(world, moment):
    while at(world, moment, actions.expire_reservations):
        pass


@pytest.fixture(autouse=True)
def nothing_due(world):
    """Expire what other tests have left."""
    expire_due(world, datetime(2100, 1, 1, tzinfo=UTC))


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


@pytest.mark.parametrize("what", ["charges", "reservations"])
def test_a_refusal_lists_the_reservations_whose_expiry_would_help_soonest_first(world, what):
    org = world.open(limit="100")
    long, soon, middle = (
        reserve(world, org, amount, expires_in=seconds)
        for amount, seconds in (("40", 900), ("10", 300), ("20", 600))
    )
    settle(world, org, middle, "capture", {"amount": "1", "final": False})
    body = {"description": "x", **({"kind": "usage"} if what == "charges" else {})}

    def refused(amount):
        response = world.post(org, what, {**body, "amount": amount})
        assert (response.status_code, response.json["code"]) == (409, "insufficient_credits")
        return response.json

    def named(*made):
        frees = {soon["id"]: "10.00", middle["id"]: "19.00", long["id"]: "40.00"}
        return [
            {"id": r["id"], "frees": frees[r["id"]], "expires_at": r["expires_at"]} for r in made
        ]

    first = refused("40")
    assert {name: first[name] for name in ("shortfall", "usable", "cure")} == {
        "shortfall": "10.00",
        "usable": "30.00",
        "cure": {"top_up": "10.00", "credit_limit": "110.00"},
    }
    for amount, needed in (
        ("40", [soon]),
        ("40.000001", [soon, middle]),
        ("59", [soon, middle]),
        ("59.000001", [soon, middle, long]),
        ("99", [soon, middle, long]),
    ):
        response = refused(amount)
        assert (response["reservations"], response["freed_at"]) == (
            named(*needed),
            needed[-1]["expires_at"],
        ), amount
    response = refused("99.000001")
    assert (response["reservations"], response["freed_at"]) == ([], None)


def test_a_refusal_lists_at_most_ten_reservations_and_when_enough_is_free(world):
    org = world.open(limit="12")
    made = [reserve(world, org, "1", expires_in=100 + n) for n in range(12)]
    refused = world.post(org, "charges", {"amount": "11", "kind": "usage", "description": "x"}).json
    assert [named["id"] for named in refused["reservations"]] == [r["id"] for r in made[:10]]
    assert refused["freed_at"] == made[10]["expires_at"]


def test_a_refused_withdrawal_lists_the_reservations_that_block_it(world):
    org = world.open(limit="100")
    world.top_up(org, "10")
    made = [
        reserve(world, org, amount, expires_in=seconds)
        for amount, seconds in (("25", 300), ("3", 600))
    ]
    body = {"amount": "0.01", "method": "cash", "reason": "x"}
    refused = world.post(org, "withdrawals", body).json
    assert (refused["shortfall"], refused["withdrawable"], refused["freed_at"]) == (
        "0.01",
        "0.00",
        made[0]["expires_at"],
    )
    assert [named["id"] for named in refused["reservations"]] == [made[0]["id"]]
    both = world.post(org, "withdrawals", {**body, "amount": "7.01"}).json
    assert [named["id"] for named in both["reservations"]] == [r["id"] for r in made]
    none = world.post(org, "withdrawals", {**body, "amount": "10.01"}).json
    assert (none["reservations"], none["freed_at"]) == ([], None)


def test_reservations_do_not_block_a_withdrawal_of_surplus(world):
    org = world.open("postpaid", limit="100")
    world.top_up(org, "5")
    reserve(world, org, "50")
    refused = world.post(org, "withdrawals", {"amount": "6", "method": "cash", "reason": "x"}).json
    assert (refused["withdrawable"], refused["reservations"], refused["freed_at"]) == (
        "5.00",
        [],
        None,
    )
    world.withdraw(org, "5")


def test_a_repeated_request_gets_the_same_refusal_whatever_happened_to_the_reservations(world):
    org = world.open(limit="10")
    made = reserve(world, org, "10")
    first = world.post(org, "reservations", BODY, key="one")
    assert [named["id"] for named in first.json["reservations"]] == [made["id"]]
    settle(world, org, made, "release")
    again = world.post(org, "reservations", BODY, key="one")
    assert (again.status_code, again.data, again.headers["Idempotent-Replayed"]) == (
        409,
        first.data,
        "true",
    )
    assert world.post(org, "reservations", BODY, key="two").status_code == 201


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


def test_the_list_is_newest_first_in_pages_and_by_status(world):
    org = world.open(limit="100")
    made = [reserve(world, org, "1")["id"] for _ in range(5)]
    settle(world, org, {"id": made[1]}, "capture")
    settle(world, org, {"id": made[3]}, "release")
    path = f"/v1/organizations/{org}/account/reservations"
    first = world.call("GET", f"{path}?limit=3").json
    second = world.call("GET", f"{path}?limit=3&cursor={first['next_cursor']}").json
    assert [r["id"] for r in first["data"] + second["data"]] == made[::-1]
    assert (first["has_more"], second["has_more"]) == (True, False)
    for status, wanted in (
        ("open", [4, 2, 0]),
        ("captured", [1]),
        ("released", [3]),
        ("expired", []),
    ):
        page = world.call("GET", f"{path}?status={status}").json
        assert [r["id"] for r in page["data"]] == [made[n] for n in wanted]
    for bad in (
        "status=gone",
        "limit=0",
        "cursor=x",
        "sort=id",
        f"status=open&cursor={first['next_cursor']}",
    ):
        assert world.call("GET", f"{path}?{bad}").status_code == 422, bad
    one = world.call("GET", f"{path}/{made[1]}", token=world.token("customer", "admin", org)).json
    assert (one["id"], one["status"]) == (made[1], "captured")


def test_the_reservation_of_another_customer_does_not_exist(world):
    org, other = world.open(limit="100"), world.open(limit="100")
    made = reserve(world, org, "1")["id"]
    for wrong in (made, "res_x", "txn" + made[3:], made.upper(), ids.new("res")):
        owner = other if wrong == made else org
        path = f"/v1/organizations/{owner}/account/reservations/{wrong}"
        responses = [world.call("GET", path)]
        responses += [world.call("POST", f"{path}/{verb}", {}) for verb in ("capture", "release")]
        assert [(a.status_code, a.json["code"]) for a in responses] == [(404, "not_found")] * 3


def test_only_roles_that_may_charge_may_reserve(world):
    org = world.open(limit="100")
    made = reserve(world, org, "1")
    for token in (
        world.token("provider", "support"),
        world.token("customer", "owner", org),
        world.token(act=ACT),
    ):
        assert world.post(org, "reservations", BODY, token=token).status_code == 403
        assert {
            settle(world, org, made, verb, token=token).status_code
            for verb in ("capture", "release")
        } == {403}
    path = f"/v1/organizations/{org}/account/reservations"
    assert world.call("GET", path, token=world.token("customer", "member", org)).status_code == 403


@pytest.mark.parametrize(
    ("what", "field", "values"),
    [
        ("", "amount", [*BAD, "0", "-1", None]),
        ("", "description", ["", " ", "x" * 256, "a\x00b", 7, None]),
        ("", "expires_in", [0, -1, 2_592_001, 10**30, 1.5, 1.0, "60", True, None, [], {}]),
        ("", "kind", ["x"]),
        ("/capture", "amount", [*BAD, "0", "-1", None]),
        ("/capture", "final", [0, 1, "true", None, []]),
        ("/capture", "cost", [*BAD, "-1", None]),
        ("/capture", "description", ["x"]),
        ("/release", "amount", ["1"]),
    ],
)
def test_invalid_input_is_refused_with_its_location_and_changes_nothing(world, what, field, values):
    org = world.open(limit="100")
    made = reserve(world, org, "10")
    before = world.stored_rows(org)
    body = {**BODY} if not what else {}
    for value in values:
        path = f"reservations/{made['id']}{what}" if what else "reservations"
        response = world.post(org, path, {**body, field: value})
        assert response.status_code == 422, (value, response.json)
        assert [error["pointer"] for error in response.json["errors"]] == [f"/{field}"], value
    assert world.stored_rows(org) == before


def test_a_body_that_is_not_an_object_is_unreadable_and_changes_nothing(world):
    org = world.open(limit="100")
    made = reserve(world, org, "10")
    before = world.stored_rows(org)
    headers = {"Authorization": f"Bearer {world.token()}", "Content-Type": "application/json"}
    for number, raw in enumerate(
        (b"[]", b"{", b'{"amount": NaN}', b'{"amount": "1", "amount": "1"}', b"\xff", b"1")
    ):
        for path in (
            "reservations",
            *(f"reservations/{made['id']}/{verb}" for verb in ("capture", "release")),
        ):
            response = world.client.post(
                f"/v1/organizations/{org}/account/{path}",
                data=raw,
                headers={**headers, "Idempotency-Key": f"{path}{number}"},
            )
            assert (response.status_code, response.json["code"]) == (400, "unreadable_body")
    assert world.call("POST", f"/v1/organizations/{org}/account/reservations").status_code == 400
    assert world.stored_rows(org) == before


def test_the_longest_and_the_shortest_time(world):
    org = world.open(limit="100")
    for seconds in (1, 2_592_000):
        assert world.post(org, "reservations", {**BODY, "expires_in": seconds}).status_code == 201


def test_transactions_show_what_was_reserved_and_group_captures_with_charges(world):
    org = world.open(limit="100")
    first, second = reserve(world, org, "10"), reserve(world, org, "5")
    settle(world, org, first, "capture")
    settle(world, org, second, "release")
    hold(world, org, "3")
    expire_due(world, clock.now())
    world.charge(org, "1")

    def listed(query):
        response = world.call("GET", f"/v1/organizations/{org}/account/transactions?{query}")
        return [(t["kind"], t["amount"], t.get("reserved")) for t in response.json["data"]]

    assert listed("kind=charge") == [("usage", "-1.00", None), ("capture", "-10.00", "-10.00")]
    assert (
        listed("kind=capture") == listed("direction=out")[1:] == [("capture", "-10.00", "-10.00")]
    )
    assert listed("kind=reservation") == [
        ("reservation", "0.00", amount) for amount in ("3.00", "5.00", "10.00")
    ]
    assert listed("kind=release") == [("release", "0.00", "-5.00")]
    assert listed("kind=expiry") == [("expiry", "0.00", "-3.00")]


def test_captures_count_as_spending_and_are_not_audited(world):
    org = world.open()
    world.top_up(org, "28")
    with world.database.reading() as session:
        query = select(AuditEntry.number).where(AuditEntry.organization_id == org)
        before = session.scalars(query).all()
        made = reserve(world, org, "14")
        assert world.account(org)["days_to_empty"] is None
        settle(world, org, made, "capture", {"amount": "7"})
        assert world.account(org)["days_to_empty"] == 42
    with world.database.reading() as session:
        assert session.scalars(query).all() == before


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
    assert (reservation.left, reservation.captured + reservation.released) == (
        account.held,
        20 * 10**6,
    )


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


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda world, path: world.call("GET", path), "pk_reservations"),
        (lambda world, path: world.call("GET", f"{path}?status=open"), "ix_reservations_status"),
        (lambda world, path: world.call("GET", f"{path}?status=expired"), "ix_reservations_status"),
        (lambda world, path: world.call("POST", path, {**BODY, "amount": "99"}), "ix_reservations"),
        (lambda world, path: expire_due(world, NOW), "ix_reservations_expires_at"),
    ],
    ids=["list", "open", "expired", "refusal", "expire_due"],
)
def test_every_query_of_reservations_uses_an_index(world, ask, index):
    org = world.open(limit="100")
    world.top_up(org, "1")
    reserve(world, org, "100")
    statements = []

    def note(connection, cursor, statement, parameters, context, many):
        if "FROM reservations" in statement:
            statements.append((statement, parameters))

    event.listen(world.database.engine, "before_cursor_execute", note)
    ask(world, f"/v1/organizations/{org}/account/reservations")
    event.remove(world.database.engine, "before_cursor_execute", note)
    assert statements
    with world.database.reading() as session:
        connection = session.connection()
        if not world.database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
            # Autovacuum may have analyzed a long table a moment ago: however few rows, no sorting
            # of what is in order.
            connection.exec_driver_sql("SET LOCAL enable_sort = off")
        explain = "EXPLAIN QUERY PLAN " if world.database.is_sqlite else "EXPLAIN "
        plans = [
            "\n".join(
                str(row) for row in connection.exec_driver_sql(explain + statement, parameters)
            )
            for statement, parameters in statements
        ]
    assert all(
        "Seq Scan on reservations" not in plan and "SCAN reservations" not in plan for plan in plans
    ), plans
    # PostgreSQL is free to prefer the primary key, which begins with the organization, while the
    # table is small.
    fine = (index,) if world.database.is_sqlite else (index, "pk_reservations")
    if not world.database.is_sqlite or not index.startswith("pk"):
        assert any(name in plan for plan in plans for name in fine), plans


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
