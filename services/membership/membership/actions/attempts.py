"""Failed attempts, counted in the database: all workers share the counts, and a restart keeps them.

Every counter is a locked row, so that a burst of concurrent attempts gets no more results than the
same attempts in a row. The limits are in ``values.attempt_limits``."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from chassis import errors
from chassis.db import upserts
from sqlalchemy import delete, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from membership import queries
from membership.models import FailedAttempts, Identity, KnownClient, LoginFailures
from membership.values import attempt_limits
from membership.values.attempt_limits import Limit, Limits
from membership.values.clients import Client

# How many networks and browsers of a person are remembered; the one unused for longest is
# forgotten first. A client can name any browser it likes.
KNOWN_CLIENTS = 40
# PostgreSQL takes 65,535 parameters in a statement.
_BATCH = 10_000


class TooManyAttempts(errors.TooMany):
    code = "too_many_attempts"
    detail = "Too many failed attempts. Wait, then try again. A forgotten password can be reset."


class TooManyRequests(errors.TooMany):
    code = "too_many_requests"
    detail = "You have done this too often in a short time. Wait, then try again."


def check_wait(seconds: int) -> None:
    """Raise TooManyAttempts while there are seconds left to wait."""
    if seconds:
        raise TooManyAttempts(retry_after=seconds)


def check_use(session: Session, *, limits: Limits, now: datetime) -> None:
    """Count something that a person does successfully. Raises TooManyRequests."""
    if seconds := take(session, limits=limits, now=now):
        raise TooManyRequests(retry_after=seconds)


# Attempts under a key: a client network, or PINs.


def seconds_blocked(session: Session, *, limits: Limits, now: datetime) -> int:
    """Whole seconds for which one of these keys is blocked; 0 when none is. The rows stay
    locked."""
    query = (
        select(FailedAttempts)
        .where(FailedAttempts.key.in_(limits))
        .order_by(FailedAttempts.key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    rows = session.scalars(query).all()
    return max((seconds_left(row, now) for row in rows), default=0)


def count_failure(session: Session, *, limits: Limits, now: datetime) -> None:
    """Count a failure under each key, and block those that reach their limit."""
    for key, limit in sorted(limits.items()):
        row = lock(session, key=key, now=now)
        if count(row, limit=limit, now=now):
            block(row, until=now + limit.within)


def take(session: Session, *, limits: Limits, now: datetime) -> int:
    """Count something that is allowed so often from the first time on; returns 0 if it is, or the
    whole seconds until it is again."""
    seconds = seconds_blocked(session, limits=limits, now=now)
    for key, limit in () if seconds else sorted(limits.items()):
        row = lock(session, key=key, now=now)
        if count(row, limit=limit, now=now):
            block(row, until=row.since + limit.within)
    return seconds


def reserve(
    session: Session, *, key: str, limit: Limit, now: datetime, waits: bool = False
) -> datetime:
    """Count something that is allowed so often; returns when it is allowed: now, or once those
    before it have used up the present time. ``waits``: whether it will happen then, and so counts
    there; otherwise it is refused, and does not. The limit may differ from call to call."""
    return reserve_in(lock(session, key=key, now=now), limit=limit, now=now, waits=waits)


def reserve_in(
    row: FailedAttempts, *, limit: Limit, now: datetime, waits: bool = False
) -> datetime:
    """The same with a counter that is locked already."""
    is_full = row.recent >= limit.maximum
    at = max(now, row.since + limit.within if is_full else row.since)
    if waits or at <= now:
        count(row, limit=limit, now=at)
    return at


def lock(session: Session, *, key: str, now: datetime) -> FailedAttempts:
    """The locked counter of this key, created if there is none."""
    first = {"key": key, "total": 0, "recent": 0, "since": now, "last_at": now}
    query = (
        select(FailedAttempts)
        .where(FailedAttempts.key == key)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    row = session.scalars(query).one_or_none()
    while row is None:  # repeated if it was deleted while we waited for the lock
        session.execute(
            upserts.insert(session, FailedAttempts).values(first).on_conflict_do_nothing()
        )
        row = session.scalars(query).one_or_none()
    return row


def count(row: FailedAttempts, *, limit: Limit, now: datetime) -> bool:
    """Count a failure; returns whether it reaches the limit."""
    if now - row.since >= limit.within:
        row.recent = 0
    if row.recent == 0:
        row.since = now
    row.total += 1
    row.recent += 1
    row.last_at = now
    return row.recent >= limit.maximum


def block(row: FailedAttempts, *, until: datetime) -> None:
    """Refuse attempts until then; the window starts over afterwards."""
    row.blocked_until, row.recent = until, 0


def seconds_left(row: FailedAttempts, now: datetime) -> int:
    """Whole seconds for which the key is still blocked; 0 when it is not."""
    if row.blocked_until is None:
        return 0
    return attempt_limits.seconds_until(row.blocked_until, now)


def clear(session: Session, *, key: str) -> None:
    """Delete the counter of this key."""
    session.execute(delete(FailedAttempts).where(FailedAttempts.key == key))


def clear_uses(session: Session, *, identity_ids: Iterable[str]) -> None:
    """Delete what is counted for these people by their ids."""
    keys = [key for id_ in identity_ids for key in attempt_limits.of_person(id_)]
    _delete(session, FailedAttempts.key, keys)


def clear_all(session: Session, *, prefix: str) -> None:
    """Delete every counter whose key begins with this prefix."""
    session.execute(
        delete(FailedAttempts).where(FailedAttempts.key.startswith(prefix, autoescape=True))
    )


# Passwords for an email address.


def lock_password_failures(session: Session, key: bytes, now: datetime) -> LoginFailures:
    """The locked counter of an address, created if there is none. Raises TooManyAttempts."""
    first = (
        upserts.insert(session, LoginFailures.__table__)
        .values(key=key, count=0, untold=0, last_at=now)
        .on_conflict_do_nothing()
    )
    failures = None
    while failures is None:  # repeated if a reset deleted it while we waited for the lock
        session.execute(first)
        failures = session.get(LoginFailures, key, with_for_update=True, populate_existing=True)
    check_wait(attempt_limits.seconds_left(failures.count, failures.last_at, now))
    return failures


def count_password_failure(
    failures: LoginFailures, *, identity_id: str | None, now: datetime
) -> None:
    """Count a failed password; ``identity_id``: whose address it is, None for an unknown one."""
    failures.count += 1
    failures.unreported += 1
    failures.last_at = now
    failures.identity_id = identity_id


def clear_password_failures(session: Session, *, email: str) -> None:
    """Delete every counter of failed passwords for this address."""
    known = session.scalars(
        select(KnownClient.client)
        .join(Identity, Identity.id == KnownClient.identity_id)
        .where(Identity.email == email)
    )
    keys = [queries.failures_key(email)]
    keys += [queries.failures_key(email, client) for client in known]
    _delete(session, LoginFailures.key, keys)


def clear_addresses(session: Session, *, keys: Collection[bytes]) -> None:
    """Delete what is counted for addresses under the keys of their failed passwords."""
    resets = [
        name
        for key in keys
        for limits in (
            attempt_limits.password_reset_limits(key, b""),
            attempt_limits.password_reset_limits_of_staff(key),
        )
        for name in limits
    ]
    _delete(session, LoginFailures.key, keys)
    _delete(session, FailedAttempts.key, resets)


def remember_client(session: Session, *, identity_id: str, client: Client, now: datetime) -> None:
    """Exempt this person, on this network and in this browser, from failures made elsewhere."""
    rows = [
        {"identity_id": identity_id, "client": known, "last_at": now}
        for known in sorted(client)
        if known
    ]
    session.execute(
        upserts.insert(session, KnownClient)
        .values(rows)
        .on_conflict_do_update(index_elements=["identity_id", "client"], set_={"last_at": now})
    )
    forgotten = (
        select(KnownClient.client)
        .where(KnownClient.identity_id == identity_id)
        .order_by(KnownClient.last_at.desc(), KnownClient.client)
        .offset(KNOWN_CLIENTS)
    )
    session.execute(
        delete(KnownClient).where(
            KnownClient.identity_id == identity_id, KnownClient.client.in_(forgotten)
        )
    )


def _delete(session: Session, column: InstrumentedAttribute[Any], keys: Iterable[Any]) -> None:
    """Delete the rows with these values of their key, in batches of a size that databases take."""
    values = sorted(keys)
    for start in range(0, len(values), _BATCH):
        batch = values[start : start + _BATCH]
        session.execute(delete(column.class_).where(column.in_(batch)))


# One-time codes of a person.


def check_code(identity: Identity, now: datetime) -> None:
    """Raise TooManyAttempts while the one-time codes are blocked."""
    if identity.codes_blocked_until is not None:
        check_wait(attempt_limits.seconds_until(identity.codes_blocked_until, now))


def count_code_failure(identity: Identity, now: datetime) -> None:
    """Count a failed one-time code, and block the codes of all authenticators at the limit."""
    identity.code_failures += 1
    if identity.code_failures >= attempt_limits.CODES.maximum:
        identity.code_failures = 0
        identity.codes_blocked_until = now + attempt_limits.CODES.within


# PINs of an extension.


def pin_seconds_left(row: FailedAttempts, now: datetime) -> int:
    """Whole seconds for which the extension is blocked. A locked one never gets to 0: only a new
    PIN unlocks it."""
    if row.total >= attempt_limits.PIN_LOCKED_AT:
        return int(attempt_limits.PIN_LONG_BLOCK.total_seconds())
    return seconds_left(row, now)


def count_pin_failure(row: FailedAttempts, now: datetime) -> bool:
    """Count a failed PIN of an extension; returns whether the extension is blocked now."""
    reached = count(row, limit=attempt_limits.PINS_OF_EXTENSION, now=now)
    thresholds = (attempt_limits.PIN_LONG_BLOCK_AT, attempt_limits.PIN_LOCKED_AT)
    if not reached and row.total not in thresholds:
        return False
    duration = attempt_limits.PINS_OF_EXTENSION.within
    if row.total >= attempt_limits.PIN_LONG_BLOCK_AT:
        duration = attempt_limits.PIN_LONG_BLOCK
    block(row, until=now + duration)
    return True
