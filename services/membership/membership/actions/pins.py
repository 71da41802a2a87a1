"""PINs: check and reset."""

from datetime import datetime

from chassis import errors
from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import access, attempts, audit_log, members
from membership.models import Member
from membership.values import attempt_limits
from membership.values.authority import Authority


class TooManyWrongPins(errors.TooMany):
    code = "too_many_attempts"
    detail = "Too many wrong PINs. Wait, then try again, or have the PIN reset."


class NoPin(errors.Conflict):
    code = "no_pin"
    detail = "This member logs in with a password and has no PIN. Reset the password instead."


def reset_pin(
    session: Session,
    *,
    organization_id: str,
    member_id: str,
    pin_hash: str,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> Member:
    """Set a new PIN and clear the failed attempts. Raises NoPin, CannotManageMember."""
    organization, member = members.lock_member(session, organization_id, member_id, authority)
    if member.portal_access and member.pin_hash is None:
        raise NoPin()
    access.set_pin(session, member, pin_hash)
    audit_log.record(session, "pin.reset", organization=organization, member=member, by=by, now=now)
    return member


def verify_pin(
    session: Session,
    *,
    organization_id: str,
    extension: str,
    kept: queries.KeptPin,
    matched: bool,
    by: Actor,
    now: datetime,
) -> bool:
    """Whether the PIN, compared before, is right; counts a failure otherwise.

    Unknown extensions are counted and blocked like known ones. In an organization that is not open
    no PIN is right and no failure counts. Raises TooManyWrongPins, whatever the PIN."""
    if not kept.is_open:
        return False
    own_key = attempt_limits.pin_key(organization_id, extension)
    own = attempts.lock(session, key=own_key, now=now)
    shared = attempts.lock(session, key=attempt_limits.pin_key(organization_id), now=now)
    wait = max(attempts.pin_seconds_left(own, now), attempts.seconds_left(shared, now))
    if wait:
        raise TooManyWrongPins(retry_after=wait)
    if matched:
        own.total = own.recent = 0
        return True
    if attempts.count_pin_failure(own, now):
        target = {"type": "extension", "id": extension, "label": extension}
        _record(session, organization_id, "pin.shut", own.total, by, now, target)
    limit = attempt_limits.PINS_OF_ORGANIZATION
    if attempts.count(shared, limit=limit, now=now):
        attempts.block(shared, until=now + limit.within)
        _record(session, organization_id, "pin.guessing", limit.maximum, by, now, None)
    return False


def _record(
    session: Session,
    organization_id: str,
    action: str,
    failures: int,
    by: Actor,
    now: datetime,
    target: dict[str, str] | None,
) -> None:
    audit_log.record(
        session,
        action,
        organization=queries.organization(session, organization_id),
        by=by,
        now=now,
        target=target,
        outcome="denied",
        reason="too_many_attempts",
        changes=[{"field": "failures", "before": None, "after": failures}],
    )
