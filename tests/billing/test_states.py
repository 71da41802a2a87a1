"""What billing stores of organizations, as org reads it for reconciliation."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from billing import actions, queries
from billing.models import Account, Provider
from chassis.messaging.outbox import OutboxRow
from chassis.runtime import clock, ids
from contracts import billing as messages
from sqlalchemy import event, insert, select

from tests.billing.conftest import SECRET, World

HEADERS = {"Authorization": "Basic " + base64.b64encode(f"org:{SECRET}".encode()).decode()}


def page(world: World, **query: Any) -> dict[str, Any]:
    response = world.client.get("/internal/states", query_string=query, headers=HEADERS)
    assert response.status_code == 200, response.text
    return dict(response.json)


def accounts(world: World, count: int) -> None:
    """That many more accounts, like a new one."""
    first = world.open()
    with world.database.transaction() as session:
        row = session.get_one(Account, first)
        columns = {c.key: getattr(row, c.key) for c in Account.__mapper__.column_attrs}
        session.execute(
            insert(Account), [columns | {"organization_id": ids.new("org")} for _ in range(count)]
        )


def reported(world: World, organization_id: str, *, figures: bool = True) -> list[Any]:
    """The messages that a report publishes, in order."""
    kinds = {kind.TYPE: kind for kind in (messages.BalanceChanged, messages.StateReported)}
    with world.database.transaction() as session:
        before = session.scalars(select(OutboxRow.seq).order_by(OutboxRow.seq.desc())).first() or 0
    with world.database.transaction() as session:
        actions.report_state(
            session,
            organization_id=organization_id,
            check_id="chk_1",
            figures=figures,
            now=clock.now(),
        )
    with world.database.reading() as session:
        rows = session.scalars(
            select(OutboxRow).where(OutboxRow.seq > before).order_by(OutboxRow.seq)
        )
        return [kinds[row.type].load(json.loads(row.body)["data"]) for row in rows]


def test_the_states_are_for_org(world: World) -> None:
    assert world.client.get("/internal/states").status_code == 401
    assert world.call("GET", "/internal/states").status_code == 401


def test_a_page_is_complete_up_to_its_end(world: World) -> None:
    start = ids.new("org")
    first, second, provider = world.open(), world.open(), ids.new("org")
    with world.database.transaction() as session:
        session.add(Provider(id=provider, settings={}, settings_version=4))
    third = world.open()

    whole = page(world, after=start)
    parts, after = [], start
    while after:
        part = page(world, after=after, limit=1)
        parts += part["states"]
        after = part["until"]

    assert [row["organization_id"] for row in whole["states"]] == [first, second, provider, third]
    assert whole["until"] is None and parts == whole["states"]
    assert [row["settings_version"] for row in parts] == [0, 0, 4, 0]
    assert [bool(row["account"]) for row in parts] == [True, True, False, True]


@pytest.mark.parametrize("query", [{"limit": 501}, {"limit": 0}, {"after": "mem_1"}])
def test_a_page_has_a_limit_and_a_position(world: World, query: dict[str, Any]) -> None:
    response = world.client.get("/internal/states", query_string=query, headers=HEADERS)
    assert response.status_code == 422


def test_a_page_takes_as_many_statements_for_200_accounts_as_for_10(world: World) -> None:
    def statements(count: int) -> int:
        start, seen = ids.new("org"), []
        accounts(world, count - 1)
        listen = lambda *args: seen.append(args[2])
        event.listen(world.database.engine, "before_cursor_execute", listen)
        rows = page(world, after=start)["states"]
        event.remove(world.database.engine, "before_cursor_execute", listen)
        assert len(rows) == count
        return len(seen)

    assert statements(10) == statements(200)


def test_the_figures_are_those_that_were_published(world: World) -> None:
    """Also when a temporary limit has ended, and that is not published yet."""
    account = world.open(limit="10")
    with world.database.transaction() as session:
        row = queries.get_account(session, account, lock=True)
        row.set_limit(90_000_000, row.balance_published_at + timedelta(microseconds=1))

    (before, report, again) = [None, *reported(world, account)]

    assert before is None and isinstance(report, messages.StateReported)
    assert report.account is not None and report.account.credit_limit == "90.00"
    assert again.credit_limit == "10.00"


def test_a_balance_that_waits_is_published_before_the_report(world: World) -> None:
    account = world.open()
    world.top_up(account, "7")
    world.run_jobs()
    world.charge(account, "2")

    before, report, again = reported(world, account)

    assert before.usable_credits == report.account.usable_credits == again.usable_credits == "5.00"
    assert before.as_of == report.account.as_of <= again.as_of
    assert [type(m) for m in reported(world, account, figures=False)] == [messages.StateReported]


def test_an_unknown_organization_is_reported_as_such(world: World) -> None:
    (report,) = reported(world, ids.new("org"))

    assert report.account is None and report.settings_version == 0
