"""Finding and storing the answers to many requests with keys at once.

On PostgreSQL they are parts of a service's own statements, so that they cost no round trip: an
expression for the keys that were used before, and an INSERT.
"""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from chassis.db.bulk_sql import array_parameter
from chassis.db.idempotency_keys import Answer, IdempotencyKey, RequestKey

_ASKED = f"unnest({array_parameter('scopes', 'text')}, {array_parameter('keys', 'text')})"
# An array of pairs (scope, key). Its parameters are made by ``keys_parameters``. Each key is looked
# up on its own, so that no plan ever reads the whole index.
USED = """(
    SELECT json_agg(json_build_array(asked.scope, asked.key))
    FROM {asked} AS asked (scope, key),
    LATERAL (
        SELECT FROM idempotency_keys AS used
        WHERE used.scope = asked.scope AND used.key = asked.key LIMIT 1
    ) AS used
)""".replace("{asked}", _ASKED)
# Its parameter is made by ``answers_parameter``. Fails if a key is used. ``concerns`` can be joined
# with what the statement changes.
STORE = """
    INSERT INTO idempotency_keys (scope, key, fingerprint, status, content_type, body, created_at)
    SELECT scope, key, fingerprint, status, content_type, convert_to(body, 'UTF8'), created_at
    FROM json_to_recordset(CAST(:answers AS json)) AS answers (
        scope text, key text, fingerprint text, status smallint, content_type text, body text,
        created_at timestamptz, concerns uuid
    )
"""
# Statements for any database, with the same parameters as ``USED``. Made once: making one takes
# longer than running it.
_KEYS: Any = IdempotencyKey.__table__
_INSERT = insert(_KEYS)
_USED = select(_KEYS.c.scope, _KEYS.c.key).where(
    _KEYS.c.scope.in_(bindparam("scopes", expanding=True)),
    _KEYS.c.key.in_(bindparam("keys", expanding=True)),
)
# The answers by what they concern.
Answers = Sequence[tuple[UUID, RequestKey, Answer]]


class Request(NamedTuple):
    """A command that came with a key. ``answer`` makes the response from its outcome."""

    command: Any
    key: RequestKey
    answer: Callable[[Any], Answer]


def keys_parameters(keys: Collection[RequestKey]) -> dict[str, list[str]]:
    """The parameters of ``USED``."""
    return {"scopes": [each.scope for each in keys], "keys": [each.key for each in keys]}


def answers_parameter(answers: Answers, now: datetime) -> str:
    """The parameter of ``STORE``."""
    rows = [
        {**row, "body": row["body"].decode(), "concerns": concerns}
        for (concerns, _, _), row in zip(answers, _rows(answers, now), strict=True)
    ]
    return json.dumps(rows, default=str)


def used(session: Session, keys: Collection[RequestKey]) -> set[tuple[str, str]]:
    """Those of the keys that were used before, as pairs (scope, key), on any database."""
    rows = session.connection().execute(_USED, keys_parameters(keys))
    return {(scope, key) for scope, key in rows}


def store(session: Session, answers: Answers, now: datetime) -> None:
    """Store the answers, on any database. Fails if a key is used."""
    session.connection().execute(_INSERT, _rows(answers, now))


def _rows(answers: Answers, now: datetime) -> list[dict[str, Any]]:
    return [
        {**request._asdict(), **answer._asdict(), "created_at": now}
        for _, request, answer in answers
    ]
