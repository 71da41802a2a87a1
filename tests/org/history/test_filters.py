"""Audit and timeline: filters, the file, denials."""

import json

import pytest
from contracts import org
from org.queries import history

from tests.org.conftest import World
from tests.org.history.entries import STELLA, add_entry, audit_rows, csv_rows

pytestmark = pytest.mark.both_databases


def test_the_audit_is_filtered_newest_first(world: World) -> None:
    customer = world.active()
    add_entry(
        world,
        customer,
        action="a.one",
        at="2026-03-01T12:00:00.000000Z",
        target={"type": "member", "id": "mem_9"},
    )
    add_entry(world, customer, action="a.two", at="2026-03-02T12:00:00.000000Z", outcome="denied")
    add_entry(
        world,
        customer,
        action="a.three",
        at="2026-03-03T12:00:00.000000Z",
        actor={"kind": "system", "id": "system"},
    )

    def actions(query: str, path: str = "audit") -> list[str]:
        return [row["action"] for row in audit_rows(world, customer, query, path)]

    assert actions("") == ["a.three", "a.two", "a.one"]
    assert actions("action=a.two") == ["a.two"]
    assert actions("outcome=denied") == ["a.two"]
    assert actions("actor=system") == ["a.three"]
    assert actions("actor_kind=staff") == ["a.two", "a.one"]
    assert actions("target=mem_9") == ["a.one"]
    assert actions("from=2026-03-02T12:00:00Z") == ["a.three", "a.two"]
    assert actions("to=2026-03-02T12:00:00Z") == ["a.one"]
    assert actions("outcome=ok&actor_kind=staff&to=2026-03-02T12:00:00Z") == ["a.one"]
    assert actions("", "timeline") == ["a.three", "a.one"]


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday",
        "from=2026-02-30T00:00:00Z",
        "from=2026-03-01",
        "from=0001-01-01T00:00:00%2B14:00",
        "from=9999-12-31T23:59:59-14:00",
        "from=2026-03-01T12:00:00",
        "outcome=maybe",
        "actor_kind=robot",
        "target=",
    ],
)
def test_invalid_filters_are_422(world: World, query: str) -> None:
    assert world.call("GET", f"/organizations/{world.active()}/audit?{query}").status_code == 422


@pytest.mark.parametrize("path", ["audit", "timeline"])
def test_a_cursor_is_valid_for_one_organization_only(world: World, path: str) -> None:
    customer, other = world.active(), world.active()
    for _ in range(2):
        add_entry(world, customer)

    cursor = world.call("GET", f"/organizations/{customer}/{path}?limit=1").json["next_cursor"]

    assert (
        world.call("GET", f"/organizations/{customer}/{path}?limit=1&cursor={cursor}").status_code
        == 200
    )
    assert (
        world.call("GET", f"/organizations/{other}/{path}?limit=1&cursor={cursor}").status_code
        == 422
    )


def test_the_file_has_every_row_once_in_batches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_BATCH", 2)
    customer = world.active()
    entries = [
        add_entry(
            world, customer, changes=[{"field": "name", "before": 'a,"b"', "after": "c\r\nd"}]
        )
        for _ in range(5)
    ]

    lines = csv_rows(world, customer)

    assert [line["id"] for line in lines] == sorted(entries, reverse=True)
    assert json.loads(lines[0]["changes"]) == [
        {"field": "name", "before": 'a,"b"', "after": "c\r\nd"}
    ]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_no_cell_of_the_file_is_a_formula(world: World, cell: str) -> None:
    customer = world.active()
    add_entry(world, customer, reason=cell, target={"type": "x", "id": "x", "label": cell})

    line = csv_rows(world, customer)[0]

    assert (line["reason"], line["target"]) == (f"'{cell}", f"'{cell}")


def test_repeated_denials_are_recorded_once_a_minute(world: World) -> None:
    customer = world.active()
    for _ in range(5):
        assert (
            world.call("POST", f"/organizations/{customer}/activate", {}, org=customer).status_code
            == 403
        )
    world.call("POST", f"/organizations/{customer}/suspend", {"reason": "x"}, org=customer)

    denied = [m.action for m in world.published(org.AuditRecorded) if m.outcome == "denied"]

    assert denied == ["organization.activate", "organization.suspend"]


def test_a_denied_write_of_a_viewer_is_recorded(world: World) -> None:
    customer = world.active()

    response = world.call(
        "PATCH",
        f"/organizations/{customer}",
        {"name": "New"},
        org=customer,
        act=STELLA | {"access": "read"},
        headers={"If-Match": "*"},
    )

    assert response.json["code"] == "read_only"
    denied = world.published(org.AuditRecorded)[-1]
    assert (denied.action, denied.outcome, denied.actor["kind"]) == (
        "organization.change",
        "denied",
        "support",
    )
    assert denied.request_id == response.headers["X-Request-Id"]
