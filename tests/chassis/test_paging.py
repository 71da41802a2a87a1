"""Keyset pages and their cursors."""

from typing import Any

import pytest
import sqlakeyset
from chassis.audit import AuditEntry
from chassis.db.database import Database
from chassis.errors import Invalid
from chassis.http import paging
from sqlalchemy import bindparam, select

from tests.chassis.messages import Effect


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
        lambda c: paging._cursor(">s:a", _mark("word")),
        lambda c: paging._cursor("<s:a~i:1", _mark("word")),
        lambda c: paging._cursor(">uuid:zz~i:1", _mark("word")),
        lambda c: paging._cursor(">s:a~i:99999999999999999999", _mark("word")),
    ],
)
def test_a_forged_cursor_is_rejected(database: Database, forge: Any) -> None:
    _three_rows(database)
    good = _words(database, limit=1)["next_cursor"]

    with pytest.raises(Invalid) as refusal:
        _words(database, cursor=forge(good))

    assert refusal.value.extra["errors"][0]["code"] == "bad_cursor"


@pytest.mark.parametrize("bookmark", [">i:7~s:word", ">s:a\0~i:1"])
def test_a_cursor_with_values_that_only_sqlite_accepts_shows_nothing_else(
    database: Database, bookmark: str
) -> None:
    rows, cursor = _three_rows(database), paging._cursor(bookmark, _mark("word"))

    if database.is_sqlite:
        assert {row.id for row in _words(database, cursor=cursor)["data"]} <= rows
    else:
        with pytest.raises(Invalid):
            _words(database, cursor=cursor)


@pytest.mark.parametrize("descending", [False, True])
def test_a_query_that_is_made_once_has_the_same_pages(database: Database, descending: bool) -> None:
    with database.transaction() as session:
        session.add_all(Effect(word=f"w{n % 3}") for n in range(20))
    key = Effect.word.desc() if descending else Effect.word
    table = Effect.__table__.c
    core = select(table.id).where(table.word != bindparam("without"))
    made = paging.Pages(core.order_by(table.word.desc() if descending else table.word, table.id))
    query, cursor = select(Effect.id).where(Effect.word != "w1").order_by(key, Effect.id), None

    while True:
        page = made.page(
            database,
            {"without": "w1"},
            limit=3,
            cursor=cursor,
            order="word",
            row=lambda row: row.id,
        )
        with database.reading() as session:
            assert page == paging.page(session, query, limit=3, cursor=cursor, order="word")
        if (cursor := page["next_cursor"]) is None:
            break


@pytest.mark.parametrize("descending", [False, True])
def test_pages_are_those_of_the_public_function_of_the_library(
    database: Database, descending: bool
) -> None:
    """sqlakeyset has no public way to make a page's condition, so we call functions of its inner
    modules: they may change with a new version."""
    with database.transaction() as session:
        session.add_all(Effect(word=f"w{n % 3}") for n in range(20))
    key = Effect.word.desc() if descending else Effect.word
    query, cursor, place = select(Effect.id).order_by(key, Effect.id), None, None

    with database.reading() as session:
        for _ in range(7):
            expected = sqlakeyset.select_page(session, query, per_page=3, after=place)
            page = paging.page(session, query, limit=3, cursor=cursor, order="word")
            assert page["data"] == [row.id for row in expected]
            cursor, place = page["next_cursor"], expected.paging.next[0]
    assert cursor is None


@pytest.mark.parametrize("bookmark", [">s:a", ">s:a~i:99999999999999999999", ">i:7~s:mem_x"])
def test_a_query_that_is_made_once_rejects_a_forged_cursor(
    database: Database, bookmark: str
) -> None:
    table = AuditEntry.__table__.c
    made = paging.Pages(select(table.id).order_by(table.organization_id, table.id))
    cursor = paging._cursor(bookmark, _mark("word"))

    with pytest.raises(Invalid):
        made.page(database, {}, limit=3, cursor=cursor, order="word", row=tuple)


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


def _three_rows(database: Database) -> set[int]:
    """Insert them; returns their ids."""
    with database.transaction() as session:
        rows = [Effect(word="w") for _ in range(3)]
        session.add_all(rows)
        session.flush()
        return {row.id for row in rows}


def _words(database: Database, *, limit: int = 3, cursor: str | None = None) -> dict[str, Any]:
    query = select(Effect).order_by(Effect.word, Effect.id)
    with database.reading() as session:
        return paging.page(session, query, limit=limit, cursor=cursor, order="word")


def _mark(order: str) -> str:
    import hashlib

    return hashlib.sha256(order.encode()).hexdigest()[:8]
