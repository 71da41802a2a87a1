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

# What a database says to the values of a cursor that was made up.
_FORGED = (DataError, ProgrammingError)


class Limit(ma.fields.Integer):
    """How many rows a page has at the most: the digits 0-9 and nothing else, which a mere integer
    does not mind."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not re.fullmatch("[0-9]{1,3}", value):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class PageArgs(ma.Schema):
    """The query of every list."""

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
    row: Callable[[Any], Any] = lambda found: found[0],
) -> dict[str, Any]:
    """One page of a query ordered by NOT NULL columns that end in a unique one. ``order`` names
    filter and order, so that a cursor of another list is refused. Raises Invalid for a bad cursor.
    """
    mark = hashlib.sha256(order.encode()).hexdigest()[:8]
    try:
        bookmark = _unpack(cursor, mark) if cursor else None
        found = sqlakeyset.select_page(session, query, per_page=limit, page=bookmark)
    except (sqlakeyset.InvalidPage, ValueError, OverflowError, StatementError) as problem:
        if cursor is None or (isinstance(problem, DBAPIError) and not isinstance(problem, _FORGED)):
            raise
        raise invalid(
            "/cursor", "bad_cursor", "This cursor is not of this list. Begin without one."
        ) from problem
    more = bool(found.paging.has_next)
    return {
        "data": [row(r) for r in found],
        "has_more": more,
        "next_cursor": _pack(found.paging.bookmark_next, mark) if more else None,
    }


def _pack(bookmark: str, mark: str) -> str:
    return base64.urlsafe_b64encode(f"{mark}{bookmark}".encode()).decode().rstrip("=")


def _unpack(cursor: str, mark: str) -> str:
    text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    if not text.startswith(mark + ">"):
        raise ValueError("a cursor of another list")
    return text[len(mark) :]
