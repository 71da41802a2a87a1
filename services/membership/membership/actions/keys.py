"""API keys: create, rotate, delete and authenticate."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chassis import errors
from chassis.auth.actor import Actor
from chassis.runtime import ids
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, audit_log, mails, revocations
from membership.actions.sessions import OrganizationSuspended
from membership.models import ApiKey, ApiKeySecret, Organization
from membership.values import attempt_limits, roles, tokens
from membership.values.lifetimes import ACCESS_TOKEN
from membership.values.mails import KEY_CREATED

MAX_KEYS = 50
LIFETIME = timedelta(days=365)
PREFIX = "clk_"


class KeyLimit(errors.Conflict):
    code = "key_limit"
    detail = (
        "An organization can have at most 50 API keys that have not expired. Delete one that you "
        "no longer need."
    )


class KeySuspended(errors.Unauthenticated):
    code = "key_suspended"
    detail = (
        "This API key is suspended, because the person who created it has lost their access. An "
        "owner of the organization can adopt it in the list of API keys."
    )


class KeyExpired(errors.Conflict):
    code = "key_expired"
    detail = "This API key has expired. Create a new one."


class RotationRunning(errors.Conflict):
    code = "rotation_running"
    detail = (
        "This key already has two valid secrets. Wait until the older one expires, or rotate "
        "without an overlap, which ends both."
    )


class AccessChanged(errors.Forbidden):
    code = "forbidden"
    detail = "Your access has changed since you signed in. Sign in again, then try again."


class InvalidKey(errors.Unauthenticated):
    code = "invalid_credentials"
    detail = "This API key is not valid. Check it, or create a new one."


def create_key(
    session: Session,
    *,
    organization_id: str,
    name: str,
    scopes: Sequence[str],
    grantable: frozenset[str],
    expires_at: datetime | None,
    by: Actor,
    now: datetime,
) -> tuple[ApiKey, str]:
    """Create a key with some of the ``grantable`` scopes; returns it with its secret. The owner is
    notified by email.

    Raises Invalid, OrganizationSuspended, AccessChanged, KeyLimit, TooManyRequests."""
    _check_request(scopes, grantable, expires_at, now)
    organization = lock_open(session, organization_id, lock="change")
    check_access(session, organization, by, grantable)
    if queries.key_count(session, organization_id, now) >= MAX_KEYS:
        raise KeyLimit()
    attempts.check_use(session, limits=attempt_limits.new_keys(organization_id), now=now)
    key = ApiKey(
        id=ids.new("key"),
        organization_id=organization_id,
        name=name,
        scopes=sorted(set(scopes)),
        created_by=by.id,
        created_by_name=by.label,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(key)
    session.flush()
    raw = _add_secret(session, key, now)
    record(session, "api_key.created", organization, key, by, now, [("scopes", None, key.scopes)])
    _notify_owner(session, organization, key, now)
    return key, raw


def rotate_key(
    session: Session,
    *,
    organization_id: str,
    key_id: str,
    overlap: timedelta,
    grantable: frozenset[str],
    by: Actor,
    now: datetime,
) -> tuple[ApiKey, str]:
    """Give the key a new secret; returns both. The previous secret works until the overlap ends.
    Without an overlap it stops working at once, as do the tokens it was exchanged for.

    Raises NoSuchKey, OrganizationSuspended, AccessChanged, KeyExpired, RotationRunning."""
    queries.api_key(session, organization_id, key_id)
    organization = lock_open(session, organization_id, lock="use")
    check_access(session, organization, by, grantable)
    key = queries.api_key(session, organization_id, key_id, lock="change")
    check_not_expired(key, now)
    obsolete = delete(ApiKeySecret).where(ApiKeySecret.key_id == key.id)
    if overlap:
        obsolete = obsolete.where(ApiKeySecret.expires_at <= now)
    session.execute(obsolete)
    earlier = session.scalars(select(ApiKeySecret).where(ApiKeySecret.key_id == key.id)).all()
    if len(earlier) > 1:
        raise RotationRunning()
    for secret in earlier:
        secret.expires_at = now + overlap
    if not overlap:
        revocations.revoke(session, kind="session", before={key.id: now}, now=now)
    raw = _add_secret(session, key, now)
    record(
        session,
        "api_key.rotated",
        organization,
        key,
        by,
        now,
        [("overlap_minutes", None, int(overlap.total_seconds()) // 60)],
    )
    return key, raw


def delete_key(
    session: Session, *, organization_id: str, key_id: str, by: Actor, now: datetime
) -> None:
    """Delete the key. It stops working at once, as do the tokens it was exchanged for. Raises
    NoSuchKey."""
    queries.api_key(session, organization_id, key_id)
    organization = queries.organization(session, organization_id, lock="use")
    key = queries.api_key(session, organization_id, key_id, lock="change")
    session.execute(delete(ApiKeySecret).where(ApiKeySecret.key_id == key.id))
    key.deleted_at = now
    # A process with a clock slightly ahead of ours may be exchanging it right now.
    revocations.revoke(session, kind="session", before={key.id: now + ACCESS_TOKEN}, now=now)
    record(session, "api_key.deleted", organization, key, by, now, [])


def erase_keys(session: Session, *, organization_id: str) -> None:
    """Delete every key of an organization."""
    of_organization = ApiKey.organization_id == organization_id
    session.execute(
        delete(ApiKeySecret).where(
            ApiKeySecret.key_id.in_(select(ApiKey.id).where(of_organization))
        )
    )
    session.execute(delete(ApiKey).where(of_organization))


def authenticate(session: Session, *, raw: str, now: datetime) -> queries.KeyWithOrganization:
    """The key that has this secret. Raises InvalidKey, KeySuspended, OrganizationSuspended."""
    used = queries.key_by_secret(session, raw, now)
    if used is None:
        raise InvalidKey()
    if used.key.suspended_at is not None:
        raise KeySuspended()
    if used.organization.state != "open":
        raise OrganizationSuspended()
    return used


def note_use(session: Session, *, key_id: str, now: datetime) -> None:
    """Store when the key was last used, before a token is issued, so that a suspension knows
    which tokens to revoke. Raises InvalidKey if it has been deleted or suspended meanwhile."""
    noted = session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.deleted_at.is_(None), ApiKey.suspended_at.is_(None))
        .values(last_used_at=now)
    )
    if noted.rowcount == 0:  # type: ignore[attr-defined]
        raise InvalidKey()


def check_not_expired(key: ApiKey, now: datetime) -> None:
    """Raise KeyExpired if it has expired."""
    if key.is_expired(now):
        raise KeyExpired()


def _check_request(
    scopes: Sequence[str], grantable: frozenset[str], expires_at: datetime | None, now: datetime
) -> None:
    problems = [
        {
            "pointer": f"/scopes/{at}",
            "code": "scope",
            "detail": f"You cannot give an API key the scope {scope}.",
        }
        for at, scope in enumerate(scopes)
        if scope not in grantable
    ]
    if expires_at is not None and expires_at <= now:
        problems.append(
            {"pointer": "/expires_at", "code": "past", "detail": "Must be in the future."}
        )
    if problems:
        raise errors.Invalid("The request has invalid fields.", code="invalid", errors=problems)


def lock_open(session: Session, organization_id: str, lock: str) -> Organization:
    """The organization, locked. Raises OrganizationSuspended unless it is active."""
    organization = queries.organization(session, organization_id, lock=lock)
    if organization.state != "open":
        raise OrganizationSuspended()
    return organization


def check_access(
    session: Session, organization: Organization, by: Actor, grantable: frozenset[str]
) -> None:
    """Raise AccessChanged unless the caller may still grant these scopes, whatever their token
    says; lock what that depends on. A token outlives a removal or a change of role by seconds, and
    a key that it made would work for as long as any other."""
    members = queries.members_by_identity(session, organization.id, {by.id}, lock="use")
    member = members.get(by.id)
    if member is None or member.status == "disabled":
        raise AccessChanged()
    role = roles.in_token(organization.kind, member.role, member.preset)
    if not roles.grantable(organization.kind, role).issuperset(grantable):
        raise AccessChanged()


def _add_secret(session: Session, key: ApiKey, now: datetime) -> str:
    token = tokens.new(PREFIX)
    session.add(ApiKeySecret(digest=token.digest, key_id=key.id, created_at=now))
    session.flush()
    return token.raw


def _notify_owner(session: Session, organization: Organization, key: ApiKey, now: datetime) -> None:
    owner = queries.owner(session, organization.id)
    if owner is not None and owner.email is not None:
        mails.queue_notice(
            session,
            purpose=KEY_CREATED,
            organization=organization,
            email=owner.email,
            now=now,
            member_id=owner.id,
            key=key.name,
            by=key.created_by_name,
            scopes=", ".join(key.scopes),
        )


def record(
    session: Session,
    action: str,
    organization: Organization,
    key: ApiKey,
    by: Actor,
    now: datetime,
    changes: Sequence[tuple[str, object, object]],
) -> None:
    """Record what was done to a key. ``changes``: field, value before, value after."""
    audit_log.record(
        session,
        action,
        organization=organization,
        by=by,
        now=now,
        target={"type": "api_key", "id": key.id, "label": key.name},
        changes=[
            {"field": field, "before": before, "after": after} for field, before, after in changes
        ],
    )
