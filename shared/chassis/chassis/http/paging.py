"""Keyset pages: ``limit`` and ``cursor`` in, ``data``, ``has_more`` and ``next_cursor`` out."""

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Any

import marshmallow as ma
import sqlakeyset
from sqlalchemy import Select
from sqlalchemy.exc import DataError, DBAPIError, ProgrammingError, StatementError
from sqlalchemy.orm import Session

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
    a row of the result into an item. Raises Invalid for a bad cursor."""
    digest = hashlib.sha256(order.encode()).hexdigest()[:_DIGEST_LENGTH]
    try:
        bookmark = _bookmark(cursor, digest) if cursor else None
        results = sqlakeyset.select_page(session, query, per_page=limit, page=bookmark)
    except (sqlakeyset.InvalidPage, ValueError, OverflowError, StatementError) as problem:
        if cursor is None or _is_outage(problem):
            raise
        detail = "Invalid cursor. Omit it to start from the first page."
        raise invalid("/cursor", "bad_cursor", detail) from problem
    has_more = bool(results.paging.has_next)
    return {
        "data": [row(result) for result in results],
        "has_more": has_more,
        "next_cursor": _cursor(results.paging.bookmark_next, digest) if has_more else None,
    }


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
