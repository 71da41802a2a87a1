"""Audit and timeline: filters, what each reader may see, the file, and what remains once
nobody is named."""

import csv
import io
import json
from typing import Any

import pytest
from chassis import audit
from chassis.audit import AuditEntry
from chassis.db import columns
from chassis.db.database import Database
from chassis.runtime import cli, ids
from contracts import billing, membership, org
from org import sagas
from org.app import SERVICE
from org.models import Base, TrailEntry
from org.queries import history
from sqlalchemy import MetaData, create_engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tests.databases import PreparedDatabases, schema_of
from tests.org.conftest import NOON, World

pytestmark = pytest.mark.both_databases

AT = "2026-03-01T12:00:00.000000Z"
STELLA = {
    "sub": "idn_stella",
    "org": "org_p",
    "sid": "ses_1",
    "mode": "remote_support",
    "access": "full",
    "name": "Stella Staff",
}


def add_entry(world: World, customer: str, **other: Any) -> str:
    """Membership publishes a row of its audit; returns its id."""
    known: dict[str, Any] = {
        "entry_id": ids.new("evt"),
        "at": AT,
        "action": "member.disabled",
        "outcome": "ok",
        "actor": {"kind": "staff", "id": "mem_1", "label": "Stella"},
        "target": {"label": "Max"},
        "changes": [],
        "reason": None,
        "hash": "0" * 64,
    }
    world.consume(
        membership.AuditRecorded(
            organization_id=customer, provider_id=world.provider, **(known | other)
        )
    )
    return (known | other)["entry_id"]


def audit_rows(
    world: World, customer: str, query: str = "", path: str = "audit", **who: Any
) -> list[Any]:
    response = world.call("GET", f"/organizations/{customer}/{path}?{query}", **who)
    assert response.status_code == 200, response.text
    return response.json["data"]


def csv_rows(world: World, customer: str, **who: Any) -> list[dict[str, str]]:
    response = world.call(
        "GET", f"/organizations/{customer}/audit", headers={"Accept": "text/csv"}, **who
    )
    assert response.content_type == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


# ---- filters


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


# ---- what a customer sees of support


def support(world: World, customer: str, **acting: Any) -> str:
    """A row in every part of which staff is named."""
    return add_entry(
        world,
        customer,
        actor={
            "kind": "support",
            "id": "support:sgr_1",
            "label": "Support",
            "acting": STELLA | acting,
        },
        target={"type": "acting", "id": "idn_stella", "label": "By STELLA STAFF"},
        reason="Stella Staff: supports Max",
        changes=[
            {
                "field": "by",
                "before": None,
                "after": {"name": "Stella Staff", "ids": ["idn_stella", "ses_1"]},
            }
        ],
    )


def test_a_customer_sees_support_but_no_names_of_staff(world: World) -> None:
    customer = world.active()
    row_id = support(world, customer)

    for path in ("audit", "timeline"):
        mine, theirs = (
            audit_rows(world, customer, path=path, org=customer)[0],
            audit_rows(world, customer, path=path)[0],
        )
        assert (mine["id"], theirs["id"]) == (row_id, row_id)
        assert mine["actor"] == {"kind": "support", "id": "support", "label": "Support"}
        assert mine["reason"] == "Support: supports Max"
        assert theirs["actor"]["acting"] == STELLA
        assert theirs["reason"] == "Stella Staff: supports Max"
    for seen in (
        *(
            json.dumps(audit_rows(world, customer, path=p, org=customer))
            for p in ("audit", "timeline")
        ),
        json.dumps(csv_rows(world, customer, org=customer)),
    ):
        assert not any(word in seen.casefold() for word in ("stella", "ses_1", "sgr_1")), seen
    assert "Stella Staff" in json.dumps(csv_rows(world, customer))


def test_a_customer_sees_whom_support_acted_as(world: World) -> None:
    customer = world.active()
    add_entry(
        world,
        customer,
        actor={
            "kind": "support",
            "id": "idn_jane",
            "label": "Jane",
            "acting": STELLA | {"mode": "login_as"},
        },
        target={"type": "member", "id": "mem_jane", "label": "Jane"},
    )

    row = audit_rows(world, customer, org=customer)[0]

    assert row["actor"] == {"kind": "support", "id": "support", "label": "Support acting as Jane"}
    assert row["target"]["label"] == "Jane"
    assert csv_rows(world, customer, org=customer)[0]["actor"] == "Support acting as Jane"
    assert csv_rows(world, customer, org=customer)[0]["acting"] == ""
    assert csv_rows(world, customer)[0]["acting"] == "Stella Staff"


def test_support_without_a_name_is_support(world: World) -> None:
    customer = world.active()
    add_entry(
        world,
        customer,
        actor={"kind": "support", "id": "", "label": "", "acting": {}},
        reason="as asked",
    )

    row = audit_rows(world, customer, org=customer)[0]

    assert (row["actor"]["label"], row["reason"]) == ("Support", "as asked")


def test_no_filter_reveals_who_gave_support(world: World) -> None:
    customer = world.active()
    support(world, customer)
    add_entry(world, customer, actor={"kind": "member", "id": "idn_olga", "label": "Olga"})

    def labels(actor: str, **who: Any) -> list[str]:
        return [
            row["actor"]["label"] for row in audit_rows(world, customer, f"actor={actor}", **who)
        ]

    assert [
        labels(a, org=customer) for a in ("idn_stella", "support:sgr_1", "support", "idn_olga")
    ] == [
        [],
        [],
        ["Support"],
        ["Olga"],
    ]
    assert [labels(a) for a in ("idn_stella", "support", "idn_olga")] == [
        ["Support"],
        ["Support"],
        ["Olga"],
    ]
    assert [
        row["actor"]["kind"]
        for row in audit_rows(world, customer, "actor_kind=support", org=customer)
    ] == ["support"]


@pytest.mark.parametrize("path", ["audit", "timeline"])
def test_an_acting_session_cannot_read_the_audit(world: World, path: str) -> None:
    customer = world.active()

    response = world.call("GET", f"/organizations/{customer}/{path}", org=customer, act=STELLA)

    assert (response.status_code, response.json["code"]) == (403, "forbidden")
    denied = world.published(org.AuditRecorded)[-1]
    assert (denied.action, denied.outcome, denied.actor["acting"]["sub"]) == (
        f"{path}.read",
        "denied",
        "idn_stella",
    )


# ---- as a file


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


# ---- denials


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


# ---- rows stay


def owner_of(world: World, prepared_databases: PreparedDatabases) -> Database:
    """The database as its owner sees it, who may do anything that triggers do not refuse."""
    if world.database.is_sqlite:
        return world.database
    return Database(prepared_databases.urls(schema_of(SERVICE), None).owner_url)


def attempt(database: Database, statement: str) -> None:
    with database.transaction() as session:
        session.execute(text(statement))


CHANGES = (
    "UPDATE {} SET action = 'x'",
    "UPDATE {} SET outcome = 'denied'",
    "UPDATE {} SET hash = ''",
    "UPDATE {} SET reason = 'because'",
    "UPDATE {} SET actor = '{{}}'",
    "DELETE FROM {}",
    "UPDATE {} SET erased = true",
    "UPDATE {} SET erased = true, reason = NULL, target = '{{}}'",
    "UPDATE {} SET erased = true, reason = NULL, target = '{{}}', "
    'actor = \'{{"label": "Erased"}}\'',
    "UPDATE {} SET organization_id = id",
    'UPDATE {} SET actor = \'{{"label": "Removed person"}}\'',
    'UPDATE {} SET target = \'{{"label": "Removed person"}}\', reason = NULL',
)


def test_rows_can_only_be_changed_to_erase_them(
    world: World, prepared_databases: PreparedDatabases
) -> None:
    add_entry(world, world.active(), reason="why")
    owner = owner_of(world, prepared_databases)

    for rows in ("audit_entries", "trail"):
        for change in (*CHANGES, *(() if world.database.is_sqlite else ("TRUNCATE {}",))):
            with pytest.raises(DBAPIError, match=r"append-only|permission denied"):
                attempt(world.database, change.format(rows))
            with pytest.raises(DBAPIError, match="append-only"):
                attempt(owner, change.format(rows))


def test_erased_names_are_not_written_again(world: World) -> None:
    customer = world.active()
    add_entry(world, customer)
    with world.database.transaction() as session:
        audit.erase(session, customer)
        audit.erase_rows(session, TrailEntry, customer)

    for statement in (
        "UPDATE trail SET reason = 'x'",
        "UPDATE trail SET erased = false",
        "UPDATE audit_entries SET erased = false, salt = 'x'",
        "UPDATE audit_entries SET erased = true",
    ):
        with pytest.raises(DBAPIError, match="append-only"):
            attempt(world.database, statement)


# ---- the end of a customer


def all_text(database: Database) -> str:
    """All that stands in the database, but for what waits to be said and what is remembered for a
    while."""
    texts = []
    with database.reading() as session:
        for metadata in (columns.Base.metadata, Base.metadata):
            assert isinstance(metadata, MetaData)
            for source in metadata.sorted_tables:
                if source.name not in ("outbox", "inbox", "idempotency_keys"):
                    texts += [repr(row) for row in session.execute(select(source)).all()]
    return "\n".join(texts)


def test_no_one_is_named_once_a_customer_is_deleted(world: World) -> None:
    customer = world.active(buyer_tags={"CustomerRef": "Max Muster"})
    world.call(
        "PATCH",
        f"/organizations/{customer}",
        {"billing": {"email": "max@muster.example"}},
        org=customer,
        headers={"If-Match": world.call("GET", f"/organizations/{customer}").headers["ETag"]},
    )
    add_entry(world, customer, reason="Olga wants it")
    names = ("Olga", "olga@", "bills@", "max@", "Max Muster", "Stella", "Somebody", "Clara")
    assert sum(name in all_text(world.database) for name in names) >= 6
    deletion_id = world.schedule_deletion(customer)
    hashes = chain(world, customer)
    world.run(sagas.purge_due, now=world.deletion(customer).purge_at)
    world.reply(billing.AccountSealed(organization_id=customer, deletion_id=deletion_id), NOON)
    world.reply(membership.MembersErased(organization_id=customer, deletion_id=deletion_id), NOON)

    late = add_entry(
        world, customer, actor={"kind": "staff", "id": "mem_1", "label": "Clara"}, reason="Olga"
    )
    world.consume(
        billing.AuditRecorded(
            organization_id=customer,
            provider_id=world.provider,
            entry_id=ids.new("evt"),
            at=AT,
            action="account.sealed",
            outcome="ok",
            actor={"kind": "staff", "id": "mem_1", "label": "Clara", "acting": {}},
            target={},
            changes=[{"field": "name", "before": "Olga", "after": None}],
            hash="0" * 64,
        )
    )
    world.call("POST", f"/organizations/{customer}/suspend", {"reason": "x"}, role="viewer")

    left = [line for line in all_text(world.database).splitlines() if customer in line]
    assert len(left) > 8
    assert not [line for line in left for name in names if name in line]
    assert audit_rows(world, customer, "action=member.disabled")[0]["id"] == late
    assert chain(world, customer)[: len(hashes)] == hashes
    with world.database.reading(snapshot=True) as session:
        assert list(audit.verify(session, customer)) == []
    assert "Olga" not in repr(world.published(org.AuditRecorded)[-2:])


def chain(world: World, customer: str) -> list[str]:
    with world.database.reading() as session:
        wanted = (
            select(AuditEntry.hash)
            .where(AuditEntry.organization_id == customer)
            .order_by(AuditEntry.number)
        )
        return list(session.scalars(wanted))


# ---- looking after it


def tamper(world: World, postgres: Any, statement: str) -> None:
    """Change the database past its triggers, as only the superuser can."""
    if world.database.is_sqlite:
        for name in ("no_delete", "no_change", "only_erased"):
            attempt(world.database, f"DROP TRIGGER IF EXISTS audit_entries_{name}")
        attempt(world.database, statement)
        return
    engine = create_engine(postgres.url(world.database.engine.url.database))
    with Session(engine) as session, session.begin():
        session.execute(text("SET session_replication_role = replica"))
        session.execute(text(statement))
    engine.dispose()


def test_the_command_lists_every_damage_and_exits_with_1(
    world: World,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    postgres = None if world.database.is_sqlite else request.getfixturevalue("postgres")
    monkeypatch.setenv("DATABASE_URL", world.database.url)
    monkeypatch.setattr(cli.log, "start", lambda **_: None)
    for name in ("BILLING_URL", "MEMBERSHIP_URL"):
        monkeypatch.setenv(name, "-")

    def run(*arguments: str) -> tuple[Any, list[str]]:
        monkeypatch.setattr("sys.argv", ["org", "audit", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main(SERVICE)
        return end.value.code, capsys.readouterr().out.splitlines()

    customers = [world.active() for _ in range(4)]
    changed, shortened, cut, whole = customers
    assert run() == (0, ["4 chains, 0 problems"])

    def where(customer: str) -> str:
        value = "'" + ids.to_uuid("org", customer).hex + "'"
        return f"organization_id = {value}"

    tamper(
        world,
        postgres,
        f"UPDATE audit_entries SET action = 'x' WHERE number = 1 AND {where(changed)}",
    )
    tamper(world, postgres, f"DELETE FROM audit_entries WHERE number = 2 AND {where(shortened)}")
    tamper(world, postgres, f"DELETE FROM audit_entries WHERE number = 1 AND {where(cut)}")

    code, lines = run()
    assert code == 1
    assert [line.split(" ")[0] for line in lines[:-1]] == [changed, shortened, cut, cut]
    assert "1 evt_" in lines[0] and "hash does not match its content" in lines[0]
    assert lines[1].endswith("head: is missing, or not of the last row, 1")
    assert "rows are missing" in lines[2] and "does not continue" in lines[3]
    assert lines[-1] == "4 chains, 4 problems"
    assert run(whole) == (0, ["1 chains, 0 problems"])
