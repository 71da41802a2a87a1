"""Changes that share a transaction with those of concurrent requests."""

from collections.abc import Callable, Sequence
from typing import Any

from flask import Flask, Response, current_app
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from chassis.db import health
from chassis.db.database import Database
from chassis.db.direct import Direct
from chassis.db.group_commit import GroupCommit
from chassis.db.idempotency_keys import Answer, RequestKey
from chassis.db.retries import unchecked_connections
from chassis.db.stored_answers import Request
from chassis.http.idempotency import keys
from chassis.http.responses import JSON, json_bytes
from chassis.runtime import failpoints

Act = Callable[[Session | Direct, Sequence[Request]], Sequence[Answer | None]]


def attach(app: Flask, database: Database, act: Act) -> None:
    """Give the application its groups. ``act`` does what the requests of a group ask for and stores
    their answers; its result is None for a request that has to be done on its own."""

    def run(requests: Sequence[Request]) -> Sequence[Answer | None]:
        with unchecked_connections(), database.one_change() as change:
            answers = act(change, requests)
        failpoints.hit("application.after_commit")
        return answers

    app.extensions["group_commit"] = GroupCommit(run, _concerns_all)


def _concerns_all(problem: Exception) -> bool:
    """Whether a request on its own would only wait as long again: for a time limit, a connection,
    or the standby that has not confirmed what may be stored."""
    if isinstance(problem, PoolTimeout) or health.is_time_limit(problem):
        return True
    if not isinstance(problem, DBAPIError) or not problem.connection_invalidated:
        return False
    is_reading = (problem.statement or "").lstrip().startswith("SELECT")
    return not is_reading


def change_in_group(
    command: Any,
    body: Callable[[Any], Any],
    *,
    status: int,
    alone: Callable[[], Response],
) -> Response:
    """Do what ``command`` asks for in a group, and respond with the ``body`` of its outcome.

    What cannot be done in a group, or failed there, is done by ``alone``. The response is stored
    under the request's key in the same transaction. Raises KeyRequired, BadKey and what ``alone``
    raises.
    """
    key = keys.key_of_request(required=True)
    assert key is not None  # it is required

    def answer(outcome: Any) -> Answer:
        return Answer(status, JSON, json_bytes(body(outcome)))

    request_key = RequestKey(keys.scope_of_request(), key, keys.fingerprint_of_request())
    groups: GroupCommit[Request, Answer] = current_app.extensions["group_commit"]
    given = groups.submit(Request(command, request_key, answer))
    if given is None:
        return alone()
    return Response(given.body, status=given.status, content_type=given.content_type)
