"""What the clock has done."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import audit_log, identities
from membership.models import (
    Guesses,
    Identity,
    KnownClient,
    LoginFailures,
    LoginSession,
    Mail,
    MailedToken,
    RefreshToken,
    Revocation,
)
from membership.values import attempt_limits, pins
from membership.values.lifetimes import MAILED, UNDO


def tell_of_failures(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Write audit rows about wrong passwords, later and once for several, so that an answer never
    takes longer for an address that exists; answers how many addresses."""
    untold = select(LoginFailures).where(LoginFailures.untold > 0).order_by(LoginFailures.last_at)
    rows = session.scalars(untold.limit(limit).with_for_update(skip_locked=True)).all()
    for row in rows:
        places = queries.places(session, row.identity_id) if row.identity_id else []
        if places:
            place = places[0]
            audit_log.record(
                session,
                "member.login",
                organization=place.organization,
                member=place.member,
                now=row.last_at,
                by=audit_log.member_actor(place.member, place.organization),
                outcome="denied",
                reason="invalid_credentials",
                changes=[
                    {
                        "field": "failures",
                        "before": max(0, row.count - row.untold),
                        "after": row.count,
                    }
                ],
            )
        row.untold = 0
    return len(rows)


def forget_former(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Erase those whose address was changed so long ago that they can't take their login back any
    more, unless they belong somewhere else; answers how many changes that were."""
    over = (
        select(Mail)
        .where(Mail.purpose == UNDO, Mail.created_at <= now - MAILED[UNDO])
        .order_by(Mail.created_at)
    )
    told = session.scalars(over.limit(limit).with_for_update(skip_locked=True)).all()
    if not told:
        return 0
    former = session.scalars(
        select(Identity.id).where(Identity.email.in_([mail.email for mail in told]))
    )
    identities.erase_if_alone(session, which=former, now=now)
    session.execute(delete(Mail).where(Mail.id.in_([mail.id for mail in told])))
    return len(told)


def forget_old(session: Session, *, now: datetime, limit: int = 500) -> int:
    """Delete what has served its time; answers how many rows."""
    sessions = (
        select(LoginSession.id)
        .where(LoginSession.expires_at < now - timedelta(days=1))
        .limit(limit)
    )
    mails = select(Mail.id).where(Mail.created_at < now - timedelta(days=30)).limit(limit)
    links = (
        select(MailedToken.digest)
        .where(MailedToken.expires_at < now - timedelta(days=30))
        .limit(limit)
    )
    statements = (
        delete(RefreshToken).where(RefreshToken.session_id.in_(sessions)),
        delete(LoginSession).where(LoginSession.id.in_(sessions)),
        delete(Revocation).where(Revocation.at < now - queries.FEED_KEPT),
        delete(LoginFailures).where(
            LoginFailures.last_at < now - timedelta(days=1),
            LoginFailures.untold == 0,
            LoginFailures.count < attempt_limits.SHUT,
        ),
        delete(Guesses).where(
            Guesses.last_at < now - timedelta(days=1), ~Guesses.key.startswith("pin:")
        ),
        delete(Guesses).where(Guesses.last_at < now - pins.KEPT, Guesses.total < pins.TOO_MANY),
        delete(KnownClient).where(KnownClient.last_at < now - attempt_limits.KNOWN_FOR),
        delete(Mail).where(Mail.id.in_(mails)),
        delete(MailedToken).where(MailedToken.digest.in_(links)),
    )
    results: list[Any] = [session.execute(statement) for statement in statements]
    return sum(int(result.rowcount) for result in results)
