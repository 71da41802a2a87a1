"""Periodic cleanup, and the audit of failed passwords."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import audit_log, identities
from membership.models import (
    ApiKey,
    ApiKeySecret,
    FailedAttempts,
    KnownClient,
    LoginFailures,
    LoginSession,
    Mail,
    MailedToken,
    RefreshToken,
    Revocation,
)
from membership.values import attempt_limits
from membership.values.lifetimes import LINK_LIFETIMES, REFRESH_REPEATED, UNDO

DAY = timedelta(days=1)
MAIL_RETENTION = timedelta(days=30)
EXPIRED_KEY_RETENTION = timedelta(days=90)


def report_failed_attempts(session: Session, *, limit: int = 100) -> int:
    """Write audit records about failed passwords; returns for how many addresses.

    Done later and once for several failures, so that a login takes no longer for an address that
    exists."""
    unreported = (
        select(LoginFailures)
        .where(LoginFailures.unreported > 0)
        .order_by(LoginFailures.last_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = session.scalars(unreported).all()
    for row in rows:
        memberships = queries.memberships(session, row.identity_id) if row.identity_id else []
        if memberships:
            member, organization = memberships[0]
            before = max(0, row.count - row.unreported)
            audit_log.record(
                session,
                "member.login",
                organization=organization,
                member=member,
                now=row.last_at,
                by=audit_log.member_actor(member, organization),
                outcome="denied",
                reason="invalid_credentials",
                changes=[{"field": "failures", "before": before, "after": row.count}],
            )
        row.unreported = 0
    return len(rows)


def erase_former_identities(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Erase people whose address was changed so long ago that the undo link has expired, unless
    they are members elsewhere; returns how many changes were handled."""
    expired = (
        select(Mail)
        .where(Mail.purpose == UNDO, Mail.created_at <= now - LINK_LIFETIMES[UNDO])
        .order_by(Mail.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    mails = session.scalars(expired).all()
    if not mails:
        return 0
    former = identities.former_of(session, mails)
    identities.erase_if_unused(session, which=former, now=now)
    session.execute(delete(Mail).where(Mail.id.in_([mail.id for mail in mails])))
    return len(mails)


def delete_expired(session: Session, *, now: datetime, limit: int = 500) -> int:
    """Delete what is past its retention; returns how many rows."""
    sessions = select(LoginSession.id).where(LoginSession.expires_at < now - DAY).limit(limit)
    mails = select(Mail.id).where(Mail.created_at < now - MAIL_RETENTION).limit(limit)
    links = (
        select(MailedToken.digest).where(MailedToken.expires_at < now - MAIL_RETENTION).limit(limit)
    )
    expired = ApiKey.expires_at < now - EXPIRED_KEY_RETENTION
    obsolete = select(ApiKey.id).where(or_(expired, ApiKey.deleted_at < now - DAY))
    keys = session.scalars(obsolete.limit(limit)).all()
    statements = (
        delete(ApiKeySecret).where(ApiKeySecret.key_id.in_(keys)),
        delete(ApiKey).where(ApiKey.id.in_(keys)),
        delete(RefreshToken).where(RefreshToken.session_id.in_(sessions)),
        delete(LoginSession).where(LoginSession.id.in_(sessions)),
        update(RefreshToken)
        .where(RefreshToken.answer.is_not(None), RefreshToken.used_at < now - REFRESH_REPEATED)
        .values(answer=None),
        delete(Revocation).where(Revocation.at < now - queries.FEED_RETENTION),
        delete(LoginFailures).where(
            LoginFailures.last_at < now - DAY,
            LoginFailures.unreported == 0,
            LoginFailures.count < attempt_limits.LOCKED_AT,
        ),
        delete(FailedAttempts).where(
            FailedAttempts.last_at < now - DAY, ~FailedAttempts.key.startswith("pin:")
        ),
        delete(FailedAttempts).where(
            FailedAttempts.last_at < now - attempt_limits.PIN_RETENTION,
            FailedAttempts.total < attempt_limits.PIN_LOCKED_AT,
        ),
        delete(KnownClient).where(
            KnownClient.last_at < now - attempt_limits.KNOWN_CLIENT_RETENTION
        ),
        delete(Mail).where(Mail.id.in_(mails)),
        delete(MailedToken).where(MailedToken.digest.in_(links)),
    )
    results: list[Any] = [session.execute(statement) for statement in statements]
    return sum(int(result.rowcount) for result in results)
