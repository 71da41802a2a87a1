"""A change and its answer: one transaction, remembered under the caller's Idempotency-Key with the
effect itself."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import marshmallow as ma
from flask import Response, current_app, g, request
from sqlalchemy import (
    Index,
    LargeBinary,
    SmallInteger,
    String,
    UniqueConstraint,
    bindparam,
    delete,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, Session, mapped_column

from chassis.auth.callers import Caller
from chassis.db.columns import Base, BigInt, Instant
from chassis.errors import Conflict, Gone, Invalid, Unreadable
from chassis.http import context, problems, requests
from chassis.http.responses import json_response
from chassis.runtime import clock, failpoints

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
KEPT = timedelta(days=30)
KEY = "^[!-~]{1,255}$"
TRIES = 5
AGAIN = (
    "40001",
    "40P01",
    "23505",
)  # serialization, deadlock, and whoever was a moment faster with a unique key


class IdempotencyKey(Base):
    """The first outcome under a key. Scope: provider or organization, principal and route."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        UniqueConstraint("scope", "key"),
        Index("ix_idempotency_keys_created_at", "created_at"),
    )
    id: Mapped[int] = mapped_column(BigInt, primary_key=True, autoincrement=True)
    scope: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(255))
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int] = mapped_column(SmallInteger)
    content_type: Mapped[str] = mapped_column(String(64))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Instant)


_KEYS: Any = IdempotencyKey.__table__
_CLAIM = {
    name: insert(_KEYS).on_conflict_do_nothing().returning(_KEYS.c.id)
    for name, insert in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}
_ANSWERED = (
    update(_KEYS)
    .where(_KEYS.c.id == bindparam("claimed"))
    .values({name: bindparam(name) for name in ("status", "content_type", "body")})
)


class KeyRequired(Unreadable):
    code = "idempotency_key_required"
    detail = (
        "Send an Idempotency-Key header of 1 to 255 visible characters, new for each operation."
    )


class BadKey(Unreadable):
    code = "idempotency_key_invalid"
    detail = "An Idempotency-Key has 1 to 255 visible ASCII characters."


class KeyReused(Invalid):
    code = "idempotency_key_reused"
    detail = (
        "This Idempotency-Key was used with a different request body. Use a new key for a new "
        "operation."
    )


class KeyInProgress(Conflict):
    code = "idempotency_key_in_progress"
    detail = "The first request with this Idempotency-Key is still running. Try again in a moment."


def key_required(view: F) -> F:
    """Doing this twice would hurt: ``change`` wants a key there, and the document says so."""
    header = {
        "in": "header",
        "name": "Idempotency-Key",
        "required": True,
        "schema": {"type": "string", "pattern": KEY},
    }
    view.key_required = True  # type: ignore[attr-defined]
    view._apidoc = {**getattr(view, "_apidoc", {}), "manual_doc": {"parameters": [header]}}  # type: ignore[attr-defined]
    return view


class _Remembered(Exception):
    def __init__(self, answer: Response) -> None:
        self.answer = answer


def change(
    schema: ma.Schema,
    act: Callable[[Session], Any],
    *,
    status: int = 200,
    secret: bool = False,
) -> Response:
    """Run ``act`` in a transaction and answer what it returns, dumped by ``schema``.

    With an Idempotency-Key the answer (2xx, and the refusals 409 and 410) is stored in that same
    transaction and replayed ever after. ``secret``: the answer carries a secret, so the key is not
    used. Lost races in the database are tried again. Raises what ``act`` raises, KeyRequired,
    KeyReused, KeyInProgress."""
    wanted = getattr(current_app.view_functions[request.endpoint or ""], "key_required", False)
    key = None if secret else _key(wanted)
    try:
        return _again(lambda: _try(schema, act, status, key))
    except DBAPIError as problem:
        if getattr(problem.orig, "sqlstate", None) == "55P03" and key:
            raise KeyInProgress(retry_after=1) from problem
        raise


def retried(act: Callable[[Session], T]) -> T:
    """What ``act`` answers from its transaction, for changes that are never replayed. Lost races in
    the database are tried again, so it may run more than once."""

    def once() -> T:
        with context.database().transaction(correlation=requests.request_id()) as session:
            return act(session)

    return _again(once)


def amend(first: Response, outcome: Any) -> Response:
    """Answer the outcome that became known while the caller waited, and remember it instead of the
    first answer.

    An answer that was replayed stays as it is."""
    if first.headers.get("Idempotent-Replayed"):
        return first
    answer, key = json_response(outcome, first.status_code), _key(False)
    if key is not None:
        with context.database().transaction() as session:
            row = session.scalars(_find(_scope(), key)).one_or_none()
            if row is not None:
                row.status, row.body = answer.status_code, answer.get_data()
    return answer


def forget_old(session: Session, now: datetime) -> int:
    """Delete keys older than 30 days, a batch at a time; answers how many."""
    old = select(IdempotencyKey.id).where(IdempotencyKey.created_at < now - KEPT).limit(1000)
    return int(session.execute(delete(IdempotencyKey).where(IdempotencyKey.id.in_(old))).rowcount)  # type: ignore[attr-defined]


def _again(run: Callable[[], T]) -> T:
    for left in reversed(range(TRIES)):
        try:
            return run()
        except DBAPIError as problem:
            if getattr(problem.orig, "sqlstate", None) not in AGAIN or not left:
                raise
    raise AssertionError("unreachable")


def _try(
    schema: ma.Schema, act: Callable[[Session], Any], status: int, key: str | None
) -> Response:
    try:
        with context.database().transaction(correlation=requests.request_id()) as session:
            claimed = None if key is None else _claim(session, key)
            answer = json_response(schema.dump(act(session)), status)
            _remember(session, claimed, answer)
            failpoints.hit("application.before_commit")
        failpoints.hit("application.after_commit")
        return answer
    except _Remembered as found:
        return found.answer
    except (Conflict, Gone) as refusal:
        if key is None:
            raise
        return _refuse(refusal, key)


def _refuse(refusal: Conflict | Gone, key: str) -> Response:
    """Nothing of what was tried is left; a twin that was faster with the key meanwhile has the
    word."""
    answer = problems.problem_response(
        problems.status_of(refusal), refusal.code, refusal.detail, refusal.extra
    )
    try:
        with context.database().transaction() as session:
            _remember(session, _claim(session, key), answer)
    except _Remembered as found:
        return found.answer
    return answer


def _remember(session: Session, claimed: int | None, answer: Response) -> None:
    if claimed is not None:
        session.connection().execute(
            _ANSWERED,
            {
                "claimed": claimed,
                "status": answer.status_code,
                "content_type": answer.content_type,
                "body": answer.get_data(),
            },
        )


def _claim(session: Session, key: str) -> int:
    """Take the key, waiting for a twin that runs now. Raises _Remembered with the first outcome."""
    scope, fingerprint = _scope(), hashlib.sha256(_canonical_body()).hexdigest()
    values = {
        "scope": scope,
        "key": key,
        "fingerprint": fingerprint,
        "status": 0,
        "content_type": "",
        "body": b"",
        "created_at": clock.now(),
    }
    connection = session.connection()
    claimed: int | None = connection.execute(_CLAIM[connection.dialect.name], values).scalar()
    if claimed is not None:
        return claimed
    row = session.scalars(_find(scope, key)).one()
    if row.fingerprint != fingerprint:
        raise KeyReused()
    answer = Response(row.body, status=row.status, content_type=row.content_type)
    answer.headers["Idempotent-Replayed"] = "true"
    raise _Remembered(answer)


def _find(scope: str, key: str) -> Any:
    return select(IdempotencyKey).where(IdempotencyKey.scope == scope, IdempotencyKey.key == key)


def _key(required: bool) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        if required:
            raise KeyRequired()
        return None
    if not 1 <= len(key) <= 255 or not all("!" <= c <= "~" for c in key):
        raise BadKey()
    return key


def _scope() -> str:
    caller: Caller = g.caller
    who = caller.sid if caller.act else caller.sub
    parts = (caller.organization_id, who, request.method, request.path)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _canonical_body() -> bytes:
    raw = request.get_data(cache=True)
    try:
        return json.dumps(json.loads(raw), sort_keys=True).encode() if raw else b""
    except ValueError:
        return raw
