"""Keyset pages and their cursors."""

from typing import Any

import pytest
from chassis.audit import AuditEntry
from chassis.db.database import Database
from chassis.errors import Invalid
from chassis.http import paging
from sqlalchemy import select

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
