"""Requests that share a transaction: each has its own answer, and none is harmed by another."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from billing import actions, queries
from billing.actions.ledger import bulk_writes
from billing.actions.ledger.entries import Posted
from billing.models import Entry
from billing.values import UNIT
from chassis.auth.actor import SYSTEM
from chassis.db.database import Database
from chassis.db.idempotency_keys import Answer, IdempotencyKey, RequestKey
from chassis.db.stored_answers import Request
from chassis.runtime import clock, ids
from sqlalchemy import Connection, event, select, text

from tests.billing.conftest import World
from tests.waiting import until

pytestmark = pytest.mark.both_databases


def request(organization_id: str, amount: int = UNIT, *, key: str = "") -> Request:
    order = actions.charge_order(
        organization_id=organization_id, amount=amount, kind="usage", description="Calls", by=SYSTEM
    )
    return Request(order, RequestKey(organization_id, key or ids.new("evt"), "body"), answer)


def answer(posted: Posted) -> Answer:
    return Answer(201, "text/plain", str(posted.rows[0].amount).encode())


def post(world: World, requests: Sequence[Request]) -> list[str | None]:
    with world.database.one_change() as session:
        answers = actions.post_group(session, requests, now=clock.now())
    return [None if given is None else given.body.decode() for given in answers]


def stored(world: World, request: Request) -> str | None:
    with world.database.reading() as session:
        body = session.scalar(
            select(IdempotencyKey.body).where(
                IdempotencyKey.scope == request.key.scope, IdempotencyKey.key == request.key.key
            )
        )
    return None if body is None else body.decode()


def charged(world: World, organization_id: str) -> list[int]:
    with world.database.reading() as session:
        return list(
            session.scalars(
                select(Entry.amount)
                .where(Entry.organization_id == organization_id, Entry.kind == "usage")
                .order_by(Entry.seq)
            )
        )


def test_each_request_has_its_own_answer_which_is_stored_with_the_charge(world: World) -> None:
    rich, poor = world.open(limit="100"), world.open(limit="1")
    requests = [
        request(rich, 3 * UNIT),
        request(poor, 2 * UNIT),
        request(rich, 4 * UNIT),
        request(ids.new("org")),
        request(poor, UNIT),
    ]
    assert post(world, requests) == [str(3 * UNIT), None, str(4 * UNIT), None, str(UNIT)]
    assert [stored(world, each) for each in requests] == [
        str(3 * UNIT),
        None,
        str(4 * UNIT),
        None,
        str(UNIT),
    ]
    assert (charged(world, rich), charged(world, poor)) == ([3 * UNIT, 4 * UNIT], [UNIT])


def test_a_key_counts_once_in_a_group_and_over_groups(world: World) -> None:
    org = world.open(limit="100")
    same = request(org, UNIT, key="same")
    assert post(world, [same, request(org, 2 * UNIT), same]) == [str(UNIT), str(2 * UNIT), None]
    other_body = same._replace(key=same.key._replace(fingerprint="another body"))
    assert post(world, [request(org, 3 * UNIT), same, other_body]) == [str(3 * UNIT), None, None]
    assert charged(world, org) == [UNIT, 2 * UNIT, 3 * UNIT]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_an_account_that_is_locked_elsewhere_makes_nobody_wait(world: World) -> None:
    locked, free = world.open(limit="100"), world.open(limit="100")
    with world.database.transaction() as session:
        queries.get_account(session, locked, lock=True)
        assert post(world, [request(locked), request(free)]) == [None, str(UNIT)]
    assert (charged(world, locked), charged(world, free)) == ([], [UNIT])


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_an_account_that_was_changed_meanwhile_is_left_to_its_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, other = world.open(limit="10"), world.open(limit="10")
    write_unchanged = bulk_writes.write_unchanged

    def write_late(*arguments: Any, **options: Any) -> Any:
        world.charge(changed, "9")
        return write_unchanged(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(world.client.application.extensions["group_commit"], "_run", None)
        patch.setattr(bulk_writes, "write_unchanged", write_late)
        requests = [request(changed, 2 * UNIT), request(other, 2 * UNIT)]
        assert post(world, requests) == [None, str(2 * UNIT)]
    assert (charged(world, changed), charged(world, other)) == ([9 * UNIT], [2 * UNIT])
    assert [stored(world, each) for each in requests] == [None, str(2 * UNIT)]


def test_concurrent_requests_are_charged_exactly_once_and_up_to_the_limit(world: World) -> None:
    orgs = [world.open(limit="10") for _ in range(3)]

    def charge(number: int) -> tuple[int, Any]:
        body = {"amount": "1", "kind": "usage", "description": "Calls"}
        operation = number // 2  # each is sent twice
        response = world.post(orgs[operation % 3], "charges", body, key=f"{orgs[0]}-{operation}")
        return response.status_code, response.json

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(charge, range(90)))
    accepted = {body["id"] for status, body in responses if status == 201}
    assert {status for status, _ in responses} == {201, 409}
    assert [charged(world, org) for org in orgs] == [[UNIT] * 10] * 3
    assert len(accepted) == 30


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_charges_that_come_while_the_writer_is_busy_share_a_commit(world: World) -> None:
    org = world.open(limit="100")
    groups = world.client.application.extensions["group_commit"]
    commits: list[Connection] = []
    body = {"amount": "1", "kind": "usage", "description": "Calls"}
    with ThreadPoolExecutor(8) as pool:
        event.listen(world.database.engine, "commit", commits.append)
        with world.database.transaction():  # changes nothing
            responses = [pool.submit(world.post, org, "charges", body) for _ in range(8)]
            until(lambda: groups.waiting == 7)
        assert [each.result(60).status_code for each in responses] == [201] * 8
    assert charged(world, org) == [UNIT] * 8
    assert len(commits) == 2, "that of the first, and one for the others"


def test_a_group_that_fails_is_done_one_by_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = world.open(limit="10")
    groups = world.client.application.extensions["group_commit"]
    monkeypatch.setattr(groups, "_run", lambda requests: 1 // 0)
    body = {"amount": "1", "kind": "usage", "description": "Calls"}
    assert world.post(org, "charges", body).status_code == 201
    assert charged(world, org) == [UNIT]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_statements_of_groups_are_not_planned_for_each_group(world: World) -> None:
    org = world.open(limit="100")
    with closing(Database(world.database.url, pool_size=1)) as database:
        for size in (1, 2, 3, 1, 1, 4, 2, 1):
            with database.one_change() as change:
                actions.post_group(change, [request(org) for _ in range(size)], now=clock.now())
        with database.reading() as session:
            plans = session.execute(
                text(
                    "SELECT generic_plans FROM pg_prepared_statements"
                    " WHERE statement LIKE '%accounts%'"
                )
            )
            assert [count for (count,) in plans] == [3, 3]
