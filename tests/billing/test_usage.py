"""Batches of usage: each record counts once, is decided on its own, and every posting path
agrees."""

import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from billing import actions
from billing.actions.ledger import bulk_writes
from billing.actions.usage.records import UsageRecord
from billing.app import SERVICE
from billing.models import Account, Entry, Spending
from billing.values import UNIT
from chassis.auth.actor import SYSTEM
from chassis.db import migrations
from chassis.db.database import Database
from chassis.runtime import clock
from flask import Flask
from flask.testing import FlaskClient
from psycopg import Cursor, sql
from sqlalchemy import event, select, text

from tests.billing.conftest import World

pytestmark = pytest.mark.both_databases

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = clock.stamp(clock.now())


def record(world: World, org: str, id_: str, amount: int = UNIT, **more: Any) -> UsageRecord:
    return UsageRecord(world.provider_id, id_, org, amount, AT, "Calls", **more)


@contextmanager
def copying(copy: bool | None) -> Iterator[None]:
    """Rows are written with COPY, or never, however many they are; None: as usual."""
    most = {None: bulk_writes.MAX_PLAIN_ROWS, True: 0, False: sys.maxsize}[copy]
    with mock.patch.object(bulk_writes, "MAX_PLAIN_ROWS", most):
        yield


def use(world: World, *records: UsageRecord, copy: bool | None = None) -> list[str]:
    with copying(copy), world.database.transaction() as session:
        return actions.record_usage(session, by=SYSTEM, records=records, now=clock.now())


def raw(org: str, id_: str, amount: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "organization_id": org,
        "amount": amount,
        "at": NOW,
        "description": "Calls",
        **more,
    }


def journal(world: World, org: str) -> list[tuple[Any, ...]]:
    """An account's journal without ids and times."""
    with world.database.reading() as session:
        rows = session.scalars(
            select(Entry).where(Entry.organization_id == org).order_by(Entry.seq)
        ).all()
        return [
            (
                e.seq,
                e.part,
                e.kind,
                e.debit,
                e.credit,
                e.amount,
                e.moved,
                e.balance_after,
                e.prepaid_after,
                e.surplus_after,
                e.unbilled_after,
                e.invoiced_after,
                e.held_after,
                e.description,
            )
            for e in rows
        ]


def spent(world: World, org: str) -> int:
    with world.database.reading() as session:
        return sum(session.scalars(select(Spending.amount).where(Spending.organization_id == org)))


def test_records_are_posted_with_their_cost_and_count_once(world: World) -> None:
    org = world.open()
    world.top_up(org, "10")
    first = record(world, org, f"a-{org}", 3 * UNIT, cost=UNIT)
    assert use(world, first) == ["accepted"]
    assert use(world, first) == ["duplicate"]
    assert use(world, first._replace(amount=1)) == ["record_id_reused"]
    assert use(world, first._replace(cost=2)) == ["record_id_reused"]
    assert [row[3:7] for row in journal(world, org)[1:]] == [
        (1, 30, 3 * UNIT, -3 * UNIT),
        (31, 20, UNIT, 0),
    ]
    assert world.account(org)["usable_credits"] == "7.00"
    assert spent(world, org) == 3 * UNIT


def test_a_batch_is_decided_record_by_record(world: World) -> None:
    org, poor = world.open(), world.open(mode="postpaid", limit="2")
    world.top_up(org, "10")
    ids_ = [f"{n}-{org}" for n in range(8)]
    outcomes = use(
        world,
        record(world, org, ids_[0], 6 * UNIT),
        record(world, org, ids_[1], 5 * UNIT),
        record(world, org, ids_[2], 4 * UNIT),
        record(world, org, ids_[0], 6 * UNIT),
        record(world, org, ids_[1], UNIT, always=True),
        record(world, poor, ids_[3], 2 * UNIT),
        record(world, poor, ids_[4], 1),
        record(world, "org_01h455vb4pex5vsknk084sn02q", ids_[5]),
    )
    assert outcomes == [
        "accepted",
        "insufficient_credits",
        "accepted",
        "duplicate",
        "accepted",
        "accepted",
        "insufficient_credits",
        "organization_not_found",
    ]
    assert world.account(org)["balance"] == "-1.00"
    assert world.account(poor)["expecting_invoice"] == "-2.00"


def test_the_customer_of_another_provider_does_not_exist(world: World) -> None:
    org = world.open()
    other = record(world, org, f"x-{org}")._replace(provider_id="org_01h455vb4pex5vsknk084sn02q")
    assert use(world, other) == ["organization_not_found"]


@pytest.mark.parametrize("mode", ["prepaid", "postpaid"])
def test_every_posting_path_writes_the_same_rows(world: World, mode: str) -> None:
    orgs = [world.open(mode=mode, limit="100") for _ in range(4)]
    for n, (org, way) in enumerate(zip(orgs, ("charge", False, True, "one"), strict=True)):
        amounts = [(k * 7 % 5 + 1) * UNIT + k for k in range(70)]
        if way == "charge":
            for amount in amounts:
                body = {
                    "amount": f"{amount // UNIT}.{amount % UNIT:06d}",
                    "kind": "usage",
                    "description": "Calls",
                    "cost": "0.5",
                }
                world.post(org, "charges", body)
        elif way == "one":
            for k, amount in enumerate(amounts):
                use(world, record(world, org, f"{n}-{k}-{org}", amount, cost=UNIT // 2))
        else:
            batch = [
                record(world, org, f"{n}-{k}-{org}", a, cost=UNIT // 2)
                for k, a in enumerate(amounts)
            ]
            use(world, *batch, copy=bool(way))
    assert len(journal(world, orgs[0])) > 40
    for org in orgs[1:]:
        assert journal(world, org) == journal(world, orgs[0])
        assert spent(world, org) == spent(world, orgs[0])
    with world.database.reading() as session:
        kept = {
            tuple(row)
            for row in session.execute(
                select(Account.prepaid, Account.unbilled, Account.seq, Account.on_wallet).where(
                    Account.organization_id.in_(orgs)
                )
            )
        }
    assert len(kept) == 1


def test_the_endpoint_refuses_records_one_by_one(world: World) -> None:
    org = world.open()
    world.top_up(org, "10")
    records = [
        raw(org, f"1-{org}", "4", cost="1"),
        raw(org, f"2-{org}", "1e3"),
        {"id": "x"},
        raw(org, f"3-{org}", "9"),
        raw(org, f"1-{org}", "4", cost="1"),
        7,
        raw(org, "with space"),
        raw(org, f"4-{org}", "1", extra=1),
        {**raw(org, "5"), "organization_id": []},
        {**raw(org, "6"), "at": 7},
        {**raw(org, "7"), "description": None},
    ]
    response = world.call("POST", "/v1/usage", {"records": records})
    assert response.status_code == 200, response.json
    assert (response.json["accepted"], response.json["duplicates"]) == (1, 1)
    assert [(refusal["index"], refusal["code"]) for refusal in response.json["refused"]] == [
        (1, "invalid_amount"),
        (2, "invalid_record"),
        (3, "insufficient_credits"),
        (5, "invalid_record"),
        (6, "invalid_id"),
        (7, "invalid_record"),
        (8, "organization_not_found"),
        (9, "invalid_record"),
        (10, "invalid_description"),
    ]
    assert world.account(org)["balance"] == "6.00"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"records": {}},
        {"records": []},
        {"records": [], "admission": "no"},
        {"records": [{}] * 10_001},
    ],
)
def test_an_invalid_body_is_refused_as_a_whole(world: World, body: Any) -> None:
    assert world.call("POST", "/v1/usage", body).status_code == 422


@pytest.mark.parametrize("seed", range(3))
def test_batches_of_any_size_leave_the_same_journal(world: World, seed: int) -> None:
    chance = random.Random(seed)
    flow = [
        (chance.randrange(3), chance.randrange(1, 4 * UNIT), chance.choice((0, 0, UNIT // 3)))
        for _ in range(150)
    ]
    journals = []
    for way in range(3):
        orgs = [world.open(mode=mode, limit="60") for mode in ("prepaid", "postpaid", "prepaid")]
        left = [
            record(world, orgs[who], f"{n}-{orgs[0]}", amount, cost=cost)
            for n, (who, amount, cost) in enumerate(flow)
        ]
        outcomes = []
        while left:
            size = chance.randrange(1, 80) if way else 1
            outcomes += use(
                world, *left[:size], copy=chance.choice((None, True, False)) if way else None
            )
            left = left[size:]
        assert {"accepted", "insufficient_credits"} == set(outcomes)
        journals.append(
            (outcomes, [journal(world, org) for org in orgs], [spent(world, org) for org in orgs])
        )
    assert journals[0] == journals[1] == journals[2]


def test_overlapping_batches_never_deadlock_and_admit_what_the_credits_cover(
    world: World,
) -> None:
    hot, amount = world.open(limit="100"), 7 * UNIT
    others = [world.open(limit="1000") for _ in range(20)]

    def batch(thread: int, turn: int) -> Callable[[], list[str]]:
        chance = random.Random(f"{thread} {turn}")
        wallets = [*chance.sample(others, 15), hot]
        chance.shuffle(wallets)
        return lambda: use(
            world, *(record(world, org, f"{thread}-{turn}-{org}", amount) for org in wallets)
        )

    def turns(thread: int) -> list[str]:
        return [outcome for turn in range(3) for outcome in batch(thread, turn)()]

    with ThreadPoolExecutor(16) as pool:
        outcomes = [outcome for done in pool.map(turns, range(16)) for outcome in done]
    assert set(outcomes) == {"accepted", "insufficient_credits"}
    assert len(journal(world, hot)) == 100 * UNIT // amount
    assert [row[0] for row in journal(world, hot)] == list(range(1, 100 * UNIT // amount + 1))
    assert outcomes.count("accepted") == sum(len(journal(world, org)) for org in (hot, *others))


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("others", [0, 60])
def test_the_same_id_on_two_accounts_at_once_counts_once(world: World, others: int) -> None:
    orgs = [world.open(limit="10"), world.open(limit="10")]
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with ThreadPoolExecutor(1) as pool:
        with world.database.transaction() as session:
            first = actions.record_usage(
                session, by=SYSTEM, records=[record(world, orgs[0], orgs[0])], now=clock.now()
            )
            records = [
                raw(orgs[1], orgs[0] if n == 0 else f"{n}-{orgs[1]}", "0.01")
                for n in range(others + 1)
            ]
            twin = pool.submit(world.call, "POST", "/v1/usage", {"records": records})
            with world.database.reading() as looking:
                while not looking.scalar(waiting) and not twin.done():
                    looking.rollback()
        assert first == ["accepted"]
    assert twin.result().json["refused"] == [
        {"id": orgs[0], "code": "record_id_reused", "index": 0}
    ]
    assert [len(journal(world, org)) for org in orgs] == [1, others]


def test_ten_thousand_records_go_in_one_call(world: World) -> None:
    orgs = [world.open(limit="1000") for _ in range(10)]
    records = [raw(orgs[n % 10], f"{n}-{orgs[0]}", "0.5") for n in range(10_000)]
    response = world.call("POST", "/v1/usage", {"records": records})
    assert (response.status_code, response.json) == (
        200,
        {"accepted": 10_000, "duplicates": 0, "refused": []},
    )
    assert {spent(world, org) for org in orgs} == {500 * UNIT}
    again = world.call("POST", "/v1/usage", {"records": records})
    assert again.json == {"accepted": 0, "duplicates": 10_000, "refused": []}


def test_four_mebibytes_and_no_more(world: World) -> None:
    org = world.open(limit="1")
    body = json.dumps({"records": [raw(org, org)]})
    headers = {"Authorization": f"Bearer {world.token()}", "Content-Type": "application/json"}
    responses = [
        world.client.post("/v1/usage", data=body.ljust(size), headers=headers)
        for size in (4 * 1024 * 1024 + 1, 4 * 1024 * 1024)
    ]
    assert [response.status_code for response in responses] == [413, 200]
    assert "4194304" in responses[0].json["detail"]
    assert len(journal(world, org)) == 1


@pytest.fixture
def young(postgres: Any) -> Iterator[Database]:
    """Billing's database before anything was posted, without statistics."""
    made = postgres.fresh_database("billing")
    migrations.upgrade(SERVICE.migrations, made.owner_url)
    database = Database(made.app_url, pool_size=4)
    yield database
    database.close()


def test_every_query_of_a_batch_uses_an_index_however_long_the_journal(
    young: Database,
) -> None:
    statements: dict[str, tuple[str, Any]] = {}

    class NotingCursor(Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            for name, word in (
                ("ix_journal_source", "FROM journal"),
                ("accounts", "JOIN accounts"),
            ):
                if word in query:
                    statements.setdefault(name, (query, params))
            return super().execute(query, params, **options)

    def note(driver: Any, _: Any) -> None:
        driver.cursor_factory = NotingCursor

    event.listen(young.engine, "connect", note)
    world = World(young, FlaskClient(Flask("")))
    orgs = [world.open(limit="100000") for _ in range(20)]
    statements.clear()
    use(world, *(record(world, org, org) for org in orgs))
    assert len(statements) == 2
    for grown in (0, 1, 8):  # 20, 2,020 and 18,020 rows
        for turn in range(grown):
            use(world, *(record(world, orgs[n % 20], f"{grown}-{turn}-{n}") for n in range(2000)))
        for index, (statement, parameters) in statements.items():
            plan = generic_plan(young, statement, parameters)
            assert "Index" in plan and index in plan and "Seq Scan" not in plan, plan


def generic_plan(database: Database, statement: str, parameters: dict[str, Any]) -> str:
    """The generic plan of a prepared statement."""
    names: list[str] = []

    def numbered(match: re.Match[str]) -> str:
        names.append(match[1])
        return f"${len(names)}"

    prepared = re.sub(r"%\((\w+)\)s", numbered, statement)
    with database.reading() as session:
        driver: Any = session.connection().connection.driver_connection
        values = sql.SQL(", ").join(sql.Literal(parameters[name]) for name in names)
        driver.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        driver.execute("DEALLOCATE ALL")
        driver.execute(f"PREPARE query AS {prepared}")
        rows = driver.execute(sql.SQL("EXPLAIN EXECUTE query ({})").format(values)).fetchall()
        driver.execute("DEALLOCATE ALL")
    return "\n".join(row[0] for row in rows)


def test_an_expired_reservation_does_not_block_usage(world: World) -> None:
    org = world.open()
    world.top_up(org, "10")
    assert (
        world.post(
            org, "reservations", {"amount": "8", "description": "Call", "expires_in": 60}
        ).status_code
        == 201
    )
    early, late = clock.now() + timedelta(seconds=50), clock.now() + timedelta(seconds=70)
    for now, outcome in ((early, "insufficient_credits"), (late, "accepted")):
        with world.database.transaction() as session:
            batch = [record(world, org, f"late-{org}", 9 * UNIT)]
            assert actions.record_usage(session, by=SYSTEM, records=batch, now=now) == [outcome]
    assert (world.account(org)["balance"], world.account(org)["reserved_credits"]) == (
        "1.00",
        "0.00",
    )
    assert [row[2] for row in journal(world, org)] == ["top_up", "reservation", "expiry", "usage"]
