"""Idempotency-Key: a change and its response are stored in one transaction, and the response is
replayed to later requests with the same key."""

from chassis.http.idempotency.changes import amend, change, retried
from chassis.http.idempotency.keys import key_required
from chassis.http.idempotency.models import RETENTION, IdempotencyKey, delete_expired

__all__ = [
    "RETENTION",
    "IdempotencyKey",
    "amend",
    "change",
    "delete_expired",
    "key_required",
    "retried",
]
