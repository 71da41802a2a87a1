"""Keyset pages: ``limit`` and ``cursor`` in, ``data``, ``has_more`` and ``next_cursor`` out."""

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Any

import marshmallow as ma
import sqlakeyset
from sqlakeyset.columns import parse_ob_clause
from sqlakeyset.paging import where_condition_for_page
from sqlakeyset.results import serialize_bookmark, unserialize_bookmark
from sqlalchemy import Select
from sqlalchemy.exc import DataError, DBAPIError, ProgrammingError, StatementError
from sqlalchemy.orm import Session
from sqlalchemy.sql.util import unwrap_order_by

from chassis.errors import invalid

# How a database rejects the values of a forged cursor.
_FORGED = (DataError, ProgrammingError)
_DIGEST_LENGTH = 8


class Limit(ma.fields.Integer):
    """The size of a page: only the digits 0-9, where marshmallow's integer accepts more."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not re.fullmatch("[0-9]{1,3}", value):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class PageArgs(ma.Schema):
    """The query parameters of every list."""

    limit = Limit(load_default=50, validate=ma.validate.Range(1, 200))
    cursor = ma.fields.String(validate=ma.validate.Length(1, 1000))


def page_of(item: type[ma.Schema]) -> type[ma.Schema]:
    """The schema of a page of items."""
    return ma.Schema.from_dict(
        {
            "data": ma.fields.List(ma.fields.Nested(item), required=True),
            "has_more": ma.fields.Boolean(required=True),
            "next_cursor": ma.fields.String(allow_none=True, required=True),
        },
        name=f"{item.__name__}Page",
    )


def page(
    session: Session,
    query: Select[Any],
    *,
    limit: int,
    cursor: str | None,
    order: str = "",
    row: Callable[[Any], Any] = lambda result: result[0],
) -> dict[str, Any]:
    """One page of a query ordered by NOT NULL columns that end in a unique one.

    ``order`` names filter and order, so that the cursor of another list is rejected; ``row`` turns
    a row of the result, which ends in the columns of the order, into an item. Raises Invalid for a
    bad cursor."""
    digest = hashlib.sha256(order.encode()).hexdigest()[:_DIGEST_LENGTH]
    keys = [key for clause in query._order_by_clauses for key in unwrap_order_by(clause)]
    try:
        if cursor:
            query = _after(query, _bookmark(cursor, digest), session)
        labeled = [key.label(f"order_{number}") for number, key in enumerate(keys)]
        rows = session.execute(query.add_columns(*labeled).limit(limit + 1)).all()
    except (sqlakeyset.InvalidPage, ValueError, OverflowError, StatementError) as problem:
        if cursor is None or _is_outage(problem):
            raise
        detail = "Invalid cursor. Omit it to start from the first page."
        raise invalid("/cursor", "bad_cursor", detail) from problem
    has_more = len(rows) > limit
    next_cursor = None
    if has_more:
        last = tuple(rows[limit - 1][-len(keys) :])
        next_cursor = _cursor(serialize_bookmark((last, False)), digest)
    return {
        "data": [row(each) for each in rows[:limit]],
        "has_more": has_more,
        "next_cursor": next_cursor,
    }


def _after(query: Select[Any], bookmark: str, session: Session) -> Select[Any]:
    """The rows of the query that come after the bookmark."""
    place, _ = unserialize_bookmark(bookmark)
    if not place:
        return query
    condition = where_condition_for_page(parse_ob_clause(query), place, session.get_bind().dialect)
    return query.where(condition)


def _is_outage(problem: Exception) -> bool:
    """Whether the database failed for another reason than the cursor's values."""
    return isinstance(problem, DBAPIError) and not isinstance(problem, _FORGED)


def _cursor(bookmark: str, digest: str) -> str:
    return base64.urlsafe_b64encode(f"{digest}{bookmark}".encode()).decode().rstrip("=")


def _bookmark(cursor: str, digest: str) -> str:
    padding = "=" * (-len(cursor) % 4)
    text = base64.urlsafe_b64decode(cursor + padding).decode()
    if not text.startswith(digest + ">"):
        raise ValueError("a cursor of another list")
    return text[len(digest) :]
