"""Idempotency-Key: a change and its response are stored in one transaction, and the response is
replayed to later requests with the same key."""

from chassis.db.idempotency_keys import RETENTION, IdempotencyKey, delete_expired
from chassis.http.idempotency.changes import amend, change, retried
from chassis.http.idempotency.groups import attach, change_in_group
from chassis.http.idempotency.keys import key_required

__all__ = [
    "RETENTION",
    "IdempotencyKey",
    "amend",
    "attach",
    "change",
    "change_in_group",
    "delete_expired",
    "key_required",
    "retried",
]
