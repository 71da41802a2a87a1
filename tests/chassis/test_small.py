"""The small parts of a service: ids, fields, permissions, settings, paging, waiting, jobs."""

import copy
import logging
import pickle
import threading
from pathlib import Path
from typing import Any

import marshmallow as ma
import pytest
import structlog
from chassis.audit import AuditEntry
from chassis.auth.actor import Actor
from chassis.auth.permissions import Operations
from chassis.db.database import Database
from chassis.errors import Invalid
from chassis.http import paging
from chassis.http.fields import Stamp, Text, TypeId
from chassis.http.prefer_wait import Waiting, wanted_seconds
from chassis.runtime import failpoints, ids, log, tick
from chassis.runtime.service import Job
from chassis.runtime.settings import Misconfigured, Secret, ServiceSettings, load
from flask import Flask
from sqlalchemy import select

from tests.chassis.conftest import until
from tests.chassis.messages import NOON, Effect

BY = Actor(kind="staff", id="mem_1", label="Åsa")


# ---- ids


def test_later_ids_sort_later() -> None:
    made = [ids.new("org") for _ in range(100)]

    assert made == sorted(made)


@pytest.mark.parametrize(
    "change",
    [
        lambda i: i.replace("org_", "mem_"),
        str.upper,
        lambda i: i + "\n",
        lambda i: " " + i,
        lambda i: i[:-1],
        lambda i: i + "0",
        lambda i: i[4:],
        lambda i: "_" + i[4:],
        lambda i: i.replace("org_", "org__"),
        lambda i: "org_" + "8" + i[5:],
        lambda i: i[:-1] + "١",
        lambda i: i[:-1] + "u",
        lambda i: i * 1000,
        lambda i: "",
        lambda i: "../" + i,
        lambda i: i.replace("_", "-"),
    ],
)
def test_an_id_has_one_spelling_only(change: Any) -> None:
    good = ids.new("org")

    assert ids.is_id("org", good)
    assert not ids.is_id("org", change(good))


# ---- fields


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  a  ", "a"),
        ("🎉", "🎉"),
        ("A\u030a", "Å"),
        ("عربى", "عربى"),
        ("x" * 255, "x" * 255),
        ("e" + "\u0301" * 3, "é\u0301\u0301"),
    ],
)
def test_text_is_normalized(given: str, kept: str) -> None:
    assert Text().deserialize(given) == kept


@pytest.mark.parametrize(
    "given", ["", "  ", "a\0b", "a\nb", "a\x7fb", "\ud800", "x" * 256, None, 1, ["a"], {}, True]
)
def test_meaningless_text_is_rejected(given: Any) -> None:
    with pytest.raises(ma.ValidationError):
        Text().deserialize(given)


def test_newlines_are_allowed_only_in_fields_for_lines() -> None:
    assert Text(lines=True).deserialize("a\n\tb") == "a\n\tb"
    with pytest.raises(ma.ValidationError):
        Text(lines=True).deserialize("a\rb")


def test_an_id_in_a_body_must_have_the_right_prefix() -> None:
    good = ids.new("org")

    assert TypeId("org").deserialize(good) == good
    with pytest.raises(ma.ValidationError):
        TypeId("mem").deserialize(good)


@pytest.mark.parametrize(
    "given",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-01-01T24:00:01Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00",
        "20260101",
        "",
        "now",
        None,
    ],
)
def test_an_instant_needs_a_time_and_a_zone(given: Any) -> None:
    with pytest.raises(ma.ValidationError):
        Stamp().deserialize(given)


def test_an_instant_of_any_zone_is_converted_to_utc() -> None:
    assert Stamp().deserialize("2026-03-01T14:00:00+02:00") == NOON


# ---- permissions


def test_the_table_decides_who_may() -> None:
    table = Operations.parse("""
    # comment
    thing.read  | x x x x x | x x - | x | t:read own:read   # another
    thing.write | ! - - - - | - - - | - | t:write -
    """)

    def may(operation: str, kind: str, role: str, acting: bool = False) -> bool:
        return table.allows(operation, kind=kind, role=role, acting=acting)

    assert may("thing.read", "provider", "viewer")
    assert may("thing.read", "customer", "admin", acting=True)
    assert not may("thing.read", "customer", "member")
    assert may("thing.write", "provider", "owner")
    assert not may("thing.write", "provider", "owner", acting=True)
    assert not may("thing.write", "customer", "owner")
    assert not may("thing.read", "customer", "nobody")
    assert not may("thing.read", "nowhere", "owner")
    assert table.requires_step_up("thing.write", kind="provider", role="owner")
    assert not table.requires_step_up("thing.read", kind="provider", role="owner")
    with pytest.raises(KeyError):
        may("thing.other", "provider", "owner")


def test_an_api_key_may_do_only_what_its_scopes_allow() -> None:
    table = Operations.parse("""
    thing.read  | x x x x x | x x - | x | t:read  own:read
    thing.write | x - - - - | x - - | - | t:write -
    """)

    def may(operation: str, kind: str, *scope: str) -> bool:
        return table.allows(operation, kind=kind, role="api_key", scope=frozenset(scope))

    assert may("thing.read", "provider", "t:read", "t:write")
    assert may("thing.read", "customer", "own:read")
    assert not may("thing.read", "provider", "t:write", "own:read")
    assert not may("thing.write", "customer", "t:write", "-")
    assert not may("thing.read", "provider")


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "a | x x x x x | x x x",
        "a | x x x x x | x x x | x",
        "a | x x x x | x x x | x | - -",
        "a | x x x x x | x x x | X | - -",
        "a b | x x x x x | x x x | x | - -",
        "a | x x x x | x x x x | x | - -",
        "a | x x x x x x x x x | - -",
        "a | x x x x x | x x x | x | -",
        "a | x x x x x | x x x | x | - -\na | x x x x x | x x x | x | - -",
        "| x x x x x | x x x | x | - -",
    ],
)
def test_an_invalid_row_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="not a row"):
        Operations.parse(line)


# ---- settings


class TestSettings:
    @pytest.fixture(autouse=True)
    def clean(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("DATABASE_URL", "BROKER_URL", "PORT", "WEB_THREADS"):
            monkeypatch.delenv(name, raising=False)

    def test_everything_missing_or_wrong_is_named_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PORT", "eighty")
        monkeypatch.setenv("WEB_THREADS", "many")

        with pytest.raises(Misconfigured) as problem:
            load(ServiceSettings)

        assert all(name in str(problem.value) for name in ("DATABASE_URL", "PORT", "WEB_THREADS"))

    def test_a_setting_can_be_read_from_a_file(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "url").write_text("sqlite:///x.db\n")
        monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))

        assert load(ServiceSettings).database_url == "sqlite:///x.db"

    def test_a_secret_never_prints_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "sqlite:///hidden.db")

        settings = load(ServiceSettings)
        url = settings.database_url

        assert "hidden" not in f"{settings!r} {settings} {url} {url!r} {url:>30}"
        assert "hidden" not in "%s %r" % (url, url)  # noqa: UP031 - both ways to format
        assert "hidden" not in str(url)
        assert settings.port == 8000

    def test_a_secret_is_the_string_that_it_holds(self) -> None:
        secret = Secret(Secret("amqp://user:hidden@host"))

        assert secret == "amqp://user:hidden@host"
        assert secret + "/" == "amqp://user:hidden@host/"
        assert secret.encode() == b"amqp://user:hidden@host"
        assert secret.split(";") == ["amqp://user:hidden@host"]
        assert pickle.loads(pickle.dumps(secret)) == secret
        assert copy.deepcopy(secret) == secret

    def test_a_secret_is_never_logged(self, capsys: pytest.CaptureFixture[str]) -> None:
        secret, root = Secret("hidden"), logging.getLogger()
        handlers, level = root.handlers[:], root.level
        try:
            log.start(service="test")
            log.get("test").info(
                "event", value=secret, nested={"values": [secret]}, tuple=(secret, 1)
            )
            logging.getLogger("library").warning("%s %r", secret, secret)
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            structlog.reset_defaults()

        logged = capsys.readouterr().err
        assert logged.count("***") >= 5
        assert "hidden" not in logged


# ---- pages


def test_pages_neither_lose_nor_repeat_rows(database: Database) -> None:
    with database.transaction() as session:
        session.add_all(Effect(word=f"w{n % 7}") for n in range(250))
    query, seen, cursor = select(Effect).order_by(Effect.word, Effect.id), [], None
    with database.reading() as session:
        while True:
            page = paging.page(session, query, limit=37, cursor=cursor, order="word")
            seen += [(row.word, row.id) for row in page["data"]]
            cursor = page["next_cursor"]
            if not page["has_more"]:
                break

    assert cursor is None
    assert len(seen) == 250
    assert seen == sorted(set(seen))


@pytest.mark.parametrize(
    "forge",
    [
        lambda c: "x",
        lambda c: "!",
        lambda c: "ü",
        lambda c: c[:-4],
        lambda c: c + "AAAA",
        lambda c: c[::-1],
        lambda c: "A" * 1000,
        lambda c: paging._cursor(">s:1~i:1", "00000000"),
        lambda c: paging._cursor(">i:7~s:word", _mark("word")),
        lambda c: paging._cursor(">s:a", _mark("word")),
        lambda c: paging._cursor("<s:a~i:1", _mark("word")),
        lambda c: paging._cursor(">uuid:zz~i:1", _mark("word")),
        lambda c: paging._cursor(">s:a\0~i:1", _mark("word")),
        lambda c: paging._cursor(">s:a~i:99999999999999999999", _mark("word")),
    ],
)
def test_a_forged_cursor_is_rejected_or_harmless(database: Database, forge: Any) -> None:
    with database.transaction() as session:
        session.add_all(Effect(word="w") for _ in range(3))
    query = select(Effect).order_by(Effect.word, Effect.id)
    with database.reading() as session:
        good = paging.page(session, query, limit=1, cursor=None, order="word")["next_cursor"]
        try:
            page = paging.page(session, query, limit=1, cursor=forge(good), order="word")
        except Invalid as refusal:
            assert refusal.extra["errors"][0]["code"] == "bad_cursor"
        else:
            assert len(page["data"]) <= 1


def test_a_cursor_of_another_order_is_rejected(database: Database) -> None:
    with database.transaction() as session:
        session.add_all(Effect(word="w") for _ in range(3))
    query = select(Effect).order_by(Effect.id)
    with database.reading() as session:
        cursor = paging.page(session, query, limit=1, cursor=None, order="one")["next_cursor"]
        with pytest.raises(Invalid):
            paging.page(session, query, limit=1, cursor=cursor, order="other")


def test_a_cursor_with_an_invented_id_is_rejected(database: Database) -> None:
    cursor = paging._cursor(">s:mem_x", _mark("id"))
    with database.reading() as session, pytest.raises(Invalid):
        paging.page(
            session, select(AuditEntry).order_by(AuditEntry.id), limit=1, cursor=cursor, order="id"
        )


def _mark(order: str) -> str:
    import hashlib

    return hashlib.sha256(order.encode()).hexdigest()[:8]


# ---- waiting


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=3", 3),
        ("wait=10", 10),
        ("wait=99", 10),
        ("respond-async, wait=5", 5),
        ("wait=0", 0),
        ("wait=-1", 0),
        ("wait=x", 0),
        ("wait=1.5", 0),
        ("await=5", 0),
        ("", 0),
        ("wait=99999", 0),
    ],
)
def test_a_client_may_prefer_to_wait_up_to_ten_seconds(prefer: str, seconds: int) -> None:
    with Flask("waiting").test_request_context(headers={"Prefer": prefer}):
        assert wanted_seconds() == seconds


def test_a_request_beyond_the_capacity_does_not_wait() -> None:
    waiting, looked, leave = Waiting(1), threading.Event(), threading.Event()
    app = Flask("waiting")

    def look() -> str | None:
        looked.set()
        return "known" if leave.is_set() else None

    def wait() -> None:
        with app.test_request_context(headers={"Prefer": "wait=10"}):
            outcomes.append(waiting.until(look))

    outcomes: list[Any] = []
    first = threading.Thread(target=wait)
    first.start()
    looked.wait(10)
    with app.test_request_context(headers={"Prefer": "wait=10"}):
        assert waiting.until(lambda: "never looked") is None
    leave.set()
    first.join()
    assert outcomes == ["known"]
    with app.test_request_context(headers={"Prefer": "wait=10"}):
        assert waiting.until(lambda: "free again") == "free again"


def test_a_request_that_does_not_wait_takes_no_capacity_and_never_looks() -> None:
    with Flask("waiting").test_request_context():
        assert Waiting(1).until(lambda: pytest.fail("looked")) is None


# ---- failpoints and jobs


def test_a_failpoint_does_nothing_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLIENTELE_FAILPOINT", raising=False)
    failpoints.hit("relay.published")
    monkeypatch.setenv("CLIENTELE_FAILPOINT", "elsewhere")
    failpoints.hit("relay.published")


def test_a_job_that_fails_does_not_stop_the_others() -> None:
    ran: list[str] = []
    stop = threading.Event()

    def failing(*_: Any) -> int:
        ran.append("failing")
        raise RuntimeError

    def working(*_: Any) -> int:
        ran.append("working")
        return 0

    class Two:
        @staticmethod
        def all_jobs() -> tuple[Job, ...]:
            return Job("failing", 0.01, failing), Job("working", 0.01, working)

    thread = threading.Thread(target=tick.run, args=(Two, None, None, stop))
    thread.start()
    until(lambda: ran.count("working") >= 2 and ran.count("failing") >= 2)
    stop.set()
    thread.join()


def test_a_job_that_did_something_runs_again_immediately() -> None:
    left, stop = [3, 2, 1, 0], threading.Event()

    class One:
        @staticmethod
        def all_jobs() -> tuple[Job, ...]:
            return (Job("slow", 3600, lambda *_: left.pop(0) if left else 0),)

    thread = threading.Thread(target=tick.run, args=(One, None, None, stop))
    thread.start()
    until(lambda: not left)
    stop.set()
    thread.join()
