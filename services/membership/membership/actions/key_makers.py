"""An API key is valid while its maker may have it: it is suspended with them, until an owner adopts
it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chassis import errors
from chassis.auth.actor import SYSTEM, Actor
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import keys as key_actions
from membership.actions import mails, revocations
from membership.models import ApiKey, Member, Organization
from membership.values import roles
from membership.values.mails import KEYS_ORPHANED, KEYS_SUSPENDED

GRACE = timedelta(days=30)
LEFT, DISABLED, LACKS_SCOPE = "maker_left", "maker_disabled", "maker_lacks_scope"


class LacksScope(errors.Forbidden):
    code = "insufficient_scope"
    detail = "You do not have every scope of this API key. Create a key with the scopes you have."


def suspend_orphaned(session: Session, *, organization_id: str, now: datetime) -> int:
    """Suspend the keys of an organization whose makers have lost their access, or a scope that the
    key has; the owner is notified by email. Returns how many."""
    session.flush()
    keys = [
        key
        for key in queries.working_keys(session, organization_id, lock="change")
        if not key.unchecked and (key.suspend_at is None or key.suspend_at <= now)
    ]
    if not keys:
        return 0
    organization = queries.organization(session, organization_id)
    orphaned = _orphaned(session, organization, keys)
    for key in keys:
        key.suspend_at = None
        if key.id in orphaned:
            _suspend(session, key, organization, orphaned[key.id], now)
    suspended = [key for key in keys if key.id in orphaned]
    _notify_owner(session, KEYS_SUSPENDED, organization, suspended, now)
    return len(suspended)


def adopt_key(
    session: Session,
    *,
    organization_id: str,
    key_id: str,
    grantable: frozenset[str],
    by: Actor,
    now: datetime,
) -> ApiKey:
    """Make the caller the maker of the key, which works again. Its secrets stay the same.

    Raises NoSuchKey, OrganizationSuspended, AccessChanged, KeyExpired, LacksScope."""
    queries.api_key(session, organization_id, key_id)
    organization = key_actions.lock_open(session, organization_id, lock="use")
    key_actions.check_access(session, organization, by, grantable)
    key = queries.api_key(session, organization_id, key_id, lock="change")
    key_actions.check_not_expired(key, now)
    if not grantable.issuperset(key.scopes):
        raise LacksScope()
    changes = [("maker", key.created_by_name, by.label), ("status", key.status(now), "active")]
    key.created_by, key.created_by_name = by.id, by.label
    key.suspended_at = key.suspended_because = key.suspend_at = None
    key_actions.record(session, "api_key.adopted", organization, key, by, now, changes)
    return key


def suspend_due(session: Session, *, now: datetime) -> int:
    """Suspend the orphaned keys of one organization whose time of grace has ended; how many."""
    organization_id = queries.organization_with_due_keys(session, now)
    if organization_id is None:
        return 0
    queries.organization(session, organization_id, lock="use")
    suspend_orphaned(session, organization_id=organization_id, now=now)
    return 1


def check_old_keys(session: Session, *, now: datetime) -> int:
    """Check the keys of one organization that are older than the rule. Those whose makers have left
    are suspended after a time of grace, and the owner is notified by email. Returns 1, or 0 if
    there are no such keys."""
    organization_id = queries.organization_with_unchecked_keys(session)
    if organization_id is None:
        return 0
    organization = queries.organization(session, organization_id, lock="use")
    keys = queries.working_keys(session, organization_id, lock="change")
    orphaned = _orphaned(session, organization, keys)
    for key in keys:
        key.unchecked = False
        if key.id in orphaned:
            key.suspend_at = now + GRACE
    announced = [key for key in keys if key.id in orphaned]
    _notify_owner(session, KEYS_ORPHANED, organization, announced, now)
    return 1


def _orphaned(
    session: Session, organization: Organization, keys: Sequence[ApiKey]
) -> dict[str, str]:
    """The keys that do not work any longer, by id, each with the reason."""
    makers = queries.members_by_identity(session, organization.id, {key.created_by for key in keys})
    reasons = {key.id: _reason(key, makers.get(key.created_by), organization) for key in keys}
    return {id_: reason for id_, reason in reasons.items() if reason is not None}


def _reason(key: ApiKey, maker: Member | None, organization: Organization) -> str | None:
    """Why the key does not work any longer; None if its maker may have it."""
    if maker is None:
        return LEFT
    if maker.status == "disabled":
        return DISABLED
    role = roles.in_token(organization.kind, maker.role, maker.preset)
    if not roles.grantable(organization.kind, role).issuperset(key.scopes):
        return LACKS_SCOPE
    return None


def _suspend(
    session: Session, key: ApiKey, organization: Organization, because: str, now: datetime
) -> None:
    key.suspended_at, key.suspended_because = now, because
    before = {key.id: revocations.until(now, key.last_used_at)}
    revocations.revoke(session, kind="session", before=before, now=now)
    changes = [("status", "active", "suspended"), ("suspended_because", None, because)]
    key_actions.record(session, "api_key.suspended", organization, key, SYSTEM, now, changes)


def _notify_owner(
    session: Session,
    purpose: str,
    organization: Organization,
    about: Sequence[ApiKey],
    now: datetime,
) -> None:
    owner, ends = queries.owner(session, organization.id), now + GRACE
    if about and owner is not None and owner.email is not None:
        mails.queue_notice(
            session,
            purpose=purpose,
            organization=organization,
            email=owner.email,
            now=now,
            member_id=owner.id,
            keys="\n".join(f"* {key.name}, created by {key.created_by_name}" for key in about),
            until=f"{ends:%B} {ends.day}, {ends.year}",
        )
