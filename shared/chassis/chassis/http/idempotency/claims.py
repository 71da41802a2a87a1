"""Claiming a key in the transaction of the change, and replaying the response stored under it."""

from typing import Any

from flask import Response
from sqlalchemy import bindparam, select, text
from sqlalchemy.orm import Session

from chassis.db import direct
from chassis.db.columns import Instant
from chassis.db.direct import Statement
from chassis.db.idempotency_keys import IdempotencyKey
from chassis.errors import Conflict, Invalid
from chassis.http.idempotency.keys import fingerprint_of_request, scope_of_request
from chassis.runtime import clock

_KEYS: Any = IdempotencyKey.__table__
_CLAIM = Statement(
    text(
        """
        INSERT INTO idempotency_keys
            (scope, key, fingerprint, status, content_type, body, created_at)
        VALUES (:scope, :key, :fingerprint, 0, '', :body, :created_at)
        ON CONFLICT DO NOTHING RETURNING id
        """
    )
    .bindparams(bindparam("created_at", type_=Instant))
    .columns(_KEYS.c.id)
)
_STORE = Statement(
    text(
        """
        UPDATE idempotency_keys SET status = :status, content_type = :content_type, body = :body
        WHERE id = :claimed RETURNING id
        """
    ).columns(_KEYS.c.id)
)


class KeyReused(Invalid):
    code = "idempotency_key_reused"
    detail = (
        "This Idempotency-Key was used with a different request body. Use a new key for a new "
        "operation."
    )


class KeyInProgress(Conflict):
    code = "idempotency_key_in_progress"
    detail = "The first request with this Idempotency-Key is still running. Try again in a moment."


def claim(session: Session, key: str) -> int | Response:
    """Claim the key for this request; waits for a request that holds it uncommitted. Returns the
    id of the claim or, if the key was used before, the stored response. Raises KeyReused."""
    scope, fingerprint = scope_of_request(), fingerprint_of_request()
    values = {
        "scope": scope,
        "key": key,
        "fingerprint": fingerprint,
        "body": b"",
        "created_at": clock.now(),
    }
    claimed = direct.rows(session, _CLAIM, values)
    if claimed:
        return int(claimed[0].id)
    # Locked, so that there is something to commit: if nobody knows whether a standby has the stored
    # response, the commit waits until one does.
    used = session.scalars(_by_key(scope, key).with_for_update()).one()
    if used.fingerprint != fingerprint:
        raise KeyReused()
    response = Response(used.body, status=used.status, content_type=used.content_type)
    response.headers["Idempotent-Replayed"] = "true"
    return response


def store(session: Session, claimed: int, response: Response) -> None:
    """Store the response under the claimed key."""
    values = {
        "claimed": claimed,
        "status": response.status_code,
        "content_type": response.content_type,
        "body": response.get_data(),
    }
    direct.rows(session, _STORE, values)


def replace(session: Session, key: str, response: Response) -> None:
    """Store another response under a key that this caller used before."""
    used = session.scalars(_by_key(scope_of_request(), key)).one_or_none()
    if used is not None:
        used.status, used.body = response.status_code, response.get_data()


def _by_key(scope: str, key: str) -> Any:
    return select(IdempotencyKey).where(IdempotencyKey.scope == scope, IdempotencyKey.key == key)
