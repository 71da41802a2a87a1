"""Changes: one transaction each, with the response stored under the client's key."""

from collections.abc import Callable
from typing import Any, TypeVar

import marshmallow as ma
from flask import Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from chassis.db.health import LOCK_TIMEOUT, sqlstate
from chassis.db.retries import retry_lost_races
from chassis.db.unit_of_work import write_collected
from chassis.errors import Conflict, Gone
from chassis.http import context, problems
from chassis.http.idempotency import claims, keys
from chassis.http.idempotency.claims import KeyInProgress
from chassis.http.responses import json_response
from chassis.runtime import failpoints

T = TypeVar("T")


def change(
    schema: ma.Schema,
    act: Callable[[Session], Any],
    *,
    status: int = 200,
    secret: bool = False,
) -> Response:
    """Run ``act`` in a transaction and respond with what it returns, dumped by ``schema``.

    With an Idempotency-Key the response (2xx, and the refusals 409 and 410) is stored in the same
    transaction and replayed from then on. ``secret``: the response carries a secret, so the key is
    ignored. ``act`` runs again when it loses a race in the database. Raises what ``act`` raises,
    KeyRequired, BadKey, KeyReused, KeyInProgress."""
    key = None if secret else keys.key_of_request(required=keys.is_required())
    try:
        return retry_lost_races(lambda: _change_once(schema, act, status, key))
    except DBAPIError as problem:
        if sqlstate(problem) == LOCK_TIMEOUT and key is not None:
            raise KeyInProgress(retry_after=1) from problem
        raise


def retried(act: Callable[[Session], T]) -> T:
    """What ``act`` returns from its transaction, for changes whose response is never replayed.
    ``act`` runs again when it loses a race in the database."""

    def once() -> T:
        with context.transaction() as session:
            return act(session)

    return retry_lost_races(once)


def amend(first: Response, outcome: Any) -> Response:
    """Respond with the outcome that became known while the client waited, and store it instead of
    the first response. A replayed response stays as it is."""
    if first.headers.get("Idempotent-Replayed"):
        return first
    response = json_response(outcome, first.status_code)
    key = keys.key_of_request()
    if key is not None:
        with context.database().transaction() as session:
            claims.replace(session, key, response)
    return response


def _change_once(
    schema: ma.Schema, act: Callable[[Session], Any], status: int, key: str | None
) -> Response:
    try:
        with context.transaction() as session:
            claimed = None if key is None else claims.claim(session, key)
            if isinstance(claimed, Response):
                return claimed
            response = json_response(schema.dump(act(session)), status)
            if claimed is not None:
                claims.store(session, claimed, response)
            write_collected(session)
            failpoints.hit("application.before_commit")
        failpoints.hit("application.after_commit")
        return response
    except (Conflict, Gone) as refusal:
        if key is None:
            raise
        return _store_refusal(refusal, key)


def _store_refusal(refusal: Conflict | Gone, key: str) -> Response:
    """Store the refusal in a transaction of its own, as that of the change was rolled back. If
    another request has used the key meanwhile, its response counts."""
    response = problems.failure_response(refusal)
    with context.database().transaction() as session:
        claimed = claims.claim(session, key)
        if isinstance(claimed, Response):
            return claimed
        claims.store(session, claimed, response)
    return response
