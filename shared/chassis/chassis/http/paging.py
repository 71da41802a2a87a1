"""Keyset pages: ``limit`` and ``cursor`` in, ``data``, ``has_more`` and ``next_cursor`` out."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import marshmallow as ma
import sqlakeyset
from sqlakeyset import serialize_bookmark, unserialize_bookmark
from sqlakeyset.columns import parse_ob_clause
from sqlakeyset.paging import compare_tuples, where_condition_for_page
from sqlalchemy import Integer, Select, bindparam
from sqlalchemy.exc import DataError, DBAPIError, ProgrammingError, StatementError
from sqlalchemy.orm import Session

from chassis.db.database import Database
from chassis.db.direct import Statement
from chassis.errors import invalid

# How a database rejects the values of a forged cursor.
_FORGED = (DataError, ProgrammingError)
# What the values of a forged cursor raise before a database sees them.
_BAD_CURSOR = (sqlakeyset.InvalidPage, ValueError, OverflowError, TypeError, AttributeError)
_DIGEST_LENGTH = 8
_SIZE, _AFTER = "page_size", "page_after_"
Position = tuple[Any, ...] | None


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
    keys = _keys(query)

    def read(after: Position) -> Sequence[Any]:
        wanted = query.add_columns(*_labeled(keys)).limit(limit + 1)
        if after:
            dialect = session.get_bind().dialect
            wanted = wanted.where(where_condition_for_page(parse_ob_clause(query), after, dialect))
        return session.execute(wanted).all()

    return _page(read, range(-len(keys), 0), limit, cursor, order, row)


class Pages:
    """The pages of a query with named parameters, ordered as for ``page``, whose statements are
    made once."""

    def __init__(self, query: Select[Any]) -> None:
        keys, selected = _keys(query), list(query.selected_columns)
        more = [key for key in keys if key not in selected]
        columns = [*selected, *more]
        self._positions = [columns.index(key) for key in keys]
        listed = query.add_columns(*_labeled(more)).limit(bindparam(_SIZE, type_=Integer))
        pairs = [
            each.pair_for_comparison(bindparam(f"{_AFTER}{number}", type_=key.type), None)
            for number, (each, key) in enumerate(zip(parse_ob_clause(query), keys, strict=True))
        ]
        keys_of_row, keys_before = zip(*pairs, strict=True)
        self._first = Statement(listed)
        self._next = Statement(
            listed.where(compare_tuples(lesser=keys_before, greater=keys_of_row))
        )

    def page(
        self,
        database: Database,
        parameters: Mapping[str, Any],
        *,
        limit: int,
        cursor: str | None,
        order: str,
        row: Callable[[Any], Any],
    ) -> dict[str, Any]:
        """One page. ``order`` and ``row`` as for the function. Raises Invalid for a bad cursor."""

        def read(after: Position) -> Sequence[Any]:
            if not after:
                return database.rows(self._first, **parameters, **{_SIZE: limit + 1})
            if len(after) != len(self._positions):
                raise sqlakeyset.InvalidPage("a cursor of another list")
            values = {f"{_AFTER}{number}": value for number, value in enumerate(after)}
            return database.rows(self._next, **parameters, **values, **{_SIZE: limit + 1})

        return _page(read, self._positions, limit, cursor, order, row)


def _page(
    read: Callable[[Position], Sequence[Any]],
    positions: Sequence[int],
    limit: int,
    cursor: str | None,
    order: str,
    row: Callable[[Any], Any],
) -> dict[str, Any]:
    """A page of what ``read`` returns from a position on: one row more than the limit, if there is
    one. ``positions``: of the columns of the order."""
    digest = hashlib.sha256(order.encode()).hexdigest()[:_DIGEST_LENGTH]
    try:
        rows = read(unserialize_bookmark(_bookmark(cursor, digest))[0] if cursor else None)
    except (*_BAD_CURSOR, StatementError) as problem:
        if cursor is None or _is_outage(problem):
            raise
        detail = "Invalid cursor. Omit it to start from the first page."
        raise invalid("/cursor", "bad_cursor", detail) from problem
    has_more = len(rows) > limit
    next_cursor = None
    if has_more:
        last = tuple(rows[limit - 1][position] for position in positions)
        next_cursor = _cursor(serialize_bookmark((last, False)), digest)
    return {
        "data": [row(each) for each in rows[:limit]],
        "has_more": has_more,
        "next_cursor": next_cursor,
    }


def _keys(query: Select[Any]) -> list[Any]:
    """The columns of its order."""
    return [each.comparable_value for each in parse_ob_clause(query)]


def _labeled(keys: Iterable[Any]) -> list[Any]:
    return [key.label(f"order_{number}") for number, key in enumerate(keys)]


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
