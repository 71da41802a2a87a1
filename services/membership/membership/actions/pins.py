"""PINs: checked and reset."""

from datetime import datetime

from chassis import errors
from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import access, attempts, audit_log, members
from membership.models import Guesses, Member
from membership.values import pins


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
    reach: frozenset[str],
    by: Actor,
    now: datetime,
) -> Member:
    """Another PIN, and wrong ones are counted anew. Raises NoPin, OutOfReach."""
    organization, member = members.reachable(session, organization_id, member_id, reach)
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
    """Whether the PIN that was compared is right, and counts if not; an extension that nobody has
    counts and shuts like any other. Where the organization is not open no PIN is right, and none
    counts.

    Raises TooManyWrongPins, whatever the PIN."""
    if not kept.is_open:
        return False
    own = attempts.lock(session, key=pins.guesses_key(organization_id, extension), now=now)
    every = attempts.lock(session, key=pins.guesses_key(organization_id), now=now)
    wait = max(_left(own, now), attempts.left(every, now))
    if wait:
        raise TooManyWrongPins(retry_after=wait)
    if matched:
        own.total = own.recent = 0
        return True
    _count(session, organization_id, extension, own, every, by, now)
    return False


def _left(own: Guesses, now: datetime) -> int:
    """Whole seconds still to wait. After too many there is no end but a new PIN."""
    if own.total >= pins.TOO_MANY:
        return int(pins.LONG_PAUSE.total_seconds())
    return attempts.left(own, now)


def _count(
    session: Session,
    organization_id: str,
    extension: str,
    own: Guesses,
    every: Guesses,
    by: Actor,
    now: datetime,
) -> None:
    """Count on both, and shut what is due; audited then, whether or not anybody has the
    extension."""
    if attempts.count(own, limit=pins.FEW, now=now) or own.total in (pins.MANY, pins.TOO_MANY):
        attempts.shut(
            own, until=now + (pins.LONG_PAUSE if own.total >= pins.MANY else pins.FEW.within)
        )
        target = {"type": "extension", "id": extension, "label": extension}
        _tell(session, organization_id, "pin.shut", own.total, by, now, target)
    if attempts.count(every, limit=pins.OF_ALL, now=now):
        attempts.shut(every, until=now + pins.OF_ALL.within)
        _tell(session, organization_id, "pin.guessing", pins.OF_ALL.most, by, now, None)


def _tell(
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
