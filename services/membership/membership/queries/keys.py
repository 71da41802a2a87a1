"""API keys."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from chassis import errors
from chassis.runtime import ids
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from membership.models import ApiKey, ApiKeySecret, Member, Organization
from membership.queries.locking import locked
from membership.queries.people import CURRENT_STATUSES
from membership.values import tokens


class NoSuchKey(errors.NotFound):
    code = "not_found"
    detail = "There is no such API key. Check the list of keys again."


class KeyWithOrganization(NamedTuple):
    """A key with the organization it is for. ``secret_ends_at``: when the secret that was used
    expires, if before the key."""

    key: ApiKey
    organization: Organization
    secret_ends_at: datetime | None


def api_key(session: Session, organization_id: str, key_id: str, *, lock: str = "") -> ApiKey:
    """Raises NoSuchKey, for a deleted key too."""
    if not ids.is_id("key", key_id):
        raise NoSuchKey()
    query = select(ApiKey).where(
        ApiKey.id == key_id, ApiKey.organization_id == organization_id, ApiKey.deleted_at.is_(None)
    )
    key = session.scalars(locked(query, lock)).one_or_none()
    if key is None:
        raise NoSuchKey()
    return key


def api_keys(organization_id: str, now: datetime, key_id: str = "") -> Any:
    """The list of keys, newest first, each with the number of its valid secrets and when the older
    one expires. ``key_id``: only this key."""
    valid = (
        ApiKeySecret.key_id == ApiKey.id,
        or_(ApiKeySecret.expires_at.is_(None), ApiKeySecret.expires_at > now),
    )
    live = (
        select(func.count())
        .select_from(ApiKeySecret)
        .where(*valid)
        .correlate(ApiKey)
        .scalar_subquery()
    )
    ends_at = (
        select(func.min(ApiKeySecret.expires_at)).where(*valid).correlate(ApiKey).scalar_subquery()
    )
    query = select(ApiKey, live.label("live"), ends_at.label("older_ends_at")).where(
        ApiKey.organization_id == organization_id, ApiKey.deleted_at.is_(None)
    )
    if key_id:
        query = query.where(ApiKey.id == key_id)
    return query.order_by(ApiKey.id.desc())


def working_keys(session: Session, organization_id: str, *, lock: str = "") -> Sequence[ApiKey]:
    """The keys of an organization that are not suspended."""
    query = select(ApiKey).where(
        ApiKey.organization_id == organization_id,
        ApiKey.deleted_at.is_(None),
        ApiKey.suspended_at.is_(None),
    )
    return session.scalars(locked(query.order_by(ApiKey.id), lock)).all()


def members_by_identity(
    session: Session, organization_id: str, identity_ids: Collection[str], lock: str = ""
) -> dict[str, Member]:
    """The current members of an organization who have these logins, by login."""
    query = select(Member).where(
        Member.organization_id == organization_id,
        Member.identity_id.in_([id_ for id_ in identity_ids if ids.is_id("idn", id_)]),
        Member.status.in_(CURRENT_STATUSES),
    )
    members = session.scalars(locked(query, lock))
    return {member.identity_id: member for member in members if member.identity_id}


def organization_with_due_keys(session: Session, now: datetime) -> str | None:
    """An organization with a key that is to be suspended by now."""
    query = select(ApiKey.organization_id).where(
        ApiKey.suspend_at <= now, ApiKey.deleted_at.is_(None), ApiKey.suspended_at.is_(None)
    )
    return session.scalar(query.order_by(ApiKey.suspend_at).limit(1))


def organization_with_unchecked_keys(session: Session) -> str | None:
    """An organization with a key that has not been checked."""
    query = select(ApiKey.organization_id).where(ApiKey.unchecked, ApiKey.deleted_at.is_(None))
    return session.scalar(query.order_by(ApiKey.id).limit(1))


def key_count(session: Session, organization_id: str, now: datetime) -> int:
    """The number of the organization's keys that have not expired."""
    query = (
        select(func.count())
        .select_from(ApiKey)
        .where(
            ApiKey.organization_id == organization_id,
            ApiKey.deleted_at.is_(None),
            or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
        )
    )
    return session.scalar(query) or 0


def key_by_secret(session: Session, raw: str, now: datetime) -> KeyWithOrganization | None:
    """The key with this secret; None if there is none or it has expired."""
    row = session.execute(
        select(ApiKey, Organization, ApiKeySecret.expires_at)
        .join(ApiKeySecret, ApiKeySecret.key_id == ApiKey.id)
        .join(Organization, Organization.id == ApiKey.organization_id)
        .where(ApiKeySecret.digest == tokens.digest(raw), ApiKey.deleted_at.is_(None))
    ).one_or_none()
    if row is None:
        return None
    used = KeyWithOrganization(*row)
    for expires_at in (used.secret_ends_at, used.key.expires_at):
        if expires_at is not None and expires_at <= now:
            return None
    return used
