"""Requests about reservations: input, roles, and where a reservation is shown."""

import pytest
from chassis.audit import AuditEntry
from chassis.runtime import clock, ids
from sqlalchemy import event, select

from tests.billing.reservations.conftest import BODY, NOW, expire_due, hold, reserve, settle
from tests.billing.test_values import BAD

ACT = {"sub": "idn_x", "org": "org_x", "sid": "ses_x", "mode": "login_as", "access": "full"}


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
    # The database is free to prefer the primary key, which begins with the organization, while the
    # table is small.
    primary = "sqlite_autoindex_reservations_1" if world.database.is_sqlite else "pk_reservations"
    fine = (index, primary)
    if not world.database.is_sqlite or not index.startswith("pk"):
        assert any(name in plan for plan in plans for name in fine), plans
