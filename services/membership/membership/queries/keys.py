"""API keys."""

from datetime import datetime
from typing import Any, NamedTuple

from chassis import errors
from chassis.runtime import ids
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from membership.models import ApiKey, ApiKeySecret, Organization
from membership.queries.locking import locked
from membership.values import tokens


class NoSuchKey(errors.NotFound):
    code = "not_found"
    detail = "There is no such API key. Check the list of keys again."


class KeyInUse(NamedTuple):
    """A key as found by one of its secrets, and when that secret ends before the key."""

    key: ApiKey
    organization: Organization
    secret_ends_at: datetime | None


def api_key(session: Session, organization_id: str, key_id: str, *, lock: str = "") -> ApiKey:
    """The key, until it is deleted. Raises NoSuchKey."""
    if not ids.is_id("key", key_id):
        raise NoSuchKey()
    query = select(ApiKey).where(
        ApiKey.id == key_id, ApiKey.organization_id == organization_id, ApiKey.deleted_at.is_(None)
    )
    found = session.scalars(locked(query, lock)).one_or_none()
    if found is None:
        raise NoSuchKey()
    return found


def api_keys(organization_id: str, now: datetime) -> Any:
    """The list of keys, newest first, each with how many of its secrets are good, and when the
    older one ends."""
    good = (
        ApiKeySecret.key_id == ApiKey.id,
        or_(ApiKeySecret.expires_at.is_(None), ApiKeySecret.expires_at > now),
    )
    live = (
        select(func.count())
        .select_from(ApiKeySecret)
        .where(*good)
        .correlate(ApiKey)
        .scalar_subquery()
    )
    ends_at = (
        select(func.min(ApiKeySecret.expires_at)).where(*good).correlate(ApiKey).scalar_subquery()
    )
    query = select(ApiKey, live.label("live"), ends_at.label("older_ends_at")).where(
        ApiKey.organization_id == organization_id, ApiKey.deleted_at.is_(None)
    )
    return query.order_by(ApiKey.id.desc())


def key_count(session: Session, organization_id: str) -> int:
    """How many keys the organization has, expired ones included."""
    query = (
        select(func.count())
        .select_from(ApiKey)
        .where(ApiKey.organization_id == organization_id, ApiKey.deleted_at.is_(None))
    )
    return session.scalar(query) or 0


def key_in_use(session: Session, raw: str, now: datetime) -> KeyInUse | None:
    """Whose secret this is; None where it is nobody's, or nobody's any more."""
    row = session.execute(
        select(ApiKey, Organization, ApiKeySecret.expires_at)
        .join(ApiKeySecret, ApiKeySecret.key_id == ApiKey.id)
        .join(Organization, Organization.id == ApiKey.organization_id)
        .where(ApiKeySecret.digest == tokens.digest(raw), ApiKey.deleted_at.is_(None))
    ).one_or_none()
    found = KeyInUse(*row) if row else None
    if found is None or any(
        at is not None and at <= now for at in (found.secret_ends_at, found.key.expires_at)
    ):
        return None
    return found
