"""Support grants: the customer's permission for provider staff to enter by Remote Support."""

from datetime import datetime, timedelta
from typing import Any

from chassis import errors
from chassis.auth.actor import SYSTEM, Actor
from chassis.runtime import ids
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import acting_sessions, audit_log, support_emails
from membership.actions.keys import AccessChanged
from membership.models import ActingSession, Member, Organization, SupportGrant
from membership.queries import support as support_queries
from membership.values.roles import ADMIN, OWNER
from membership.values.support import (
    BY_CUSTOMER,
    BY_PROVIDER,
    EXPIRED,
    REQUEST_VALID_FOR,
    STOPPED,
    Staff,
)

_OPEN = ("pending", "active")


class NotACustomer(errors.Conflict):
    code = "not_a_customer"
    detail = (
        "This is your own organization, which needs no grant. Choose a customer's organization."
    )


class ManagedServiceOff(errors.Conflict):
    code = "managed_service_off"
    detail = (
        "Remote Support is turned off. Turn the managed service on in the provider's settings "
        "first."
    )


class RequestPending(errors.Conflict):
    code = "request_pending"
    detail = (
        "A request is already waiting for the customer's approval. Wait for it, or withdraw it "
        "first."
    )


class NotTheCustomers(errors.Forbidden):
    code = "forbidden"
    detail = (
        "You work for the provider that made the request. Someone else in the customer's "
        "organization has to approve it."
    )


class NotConfirmed(errors.Forbidden):
    code = "confirmation_required"
    detail = (
        "Your provider added you or changed your access. Ask the owner to approve it, or to "
        "confirm you first."
    )


class RequestNotPending(errors.Conflict):
    code = "request_not_pending"
    detail = "This request is no longer waiting for approval. Check the list again."


def request_grant(
    session: Session,
    *,
    organization_id: str,
    reason: str,
    minutes: int,
    access: str,
    staff: Staff,
    now: datetime,
) -> SupportGrant:
    """Request a grant. It is active at once where the provider manages the organization; otherwise
    once an owner or admin consents.

    Raises NotACustomer, OrganizationNotActive, ManagedServiceOff, StaffSessionEnded, CodeRequired,
    RequestPending."""
    organization = _customer(session, organization_id, lock="change")
    acting_sessions.lock_staff_session(session, staff, now)
    managed = organization.managed_by == "provider"
    if not managed and support_queries.pending_grant(session, organization_id, now) is not None:
        raise RequestPending()
    reason = acting_sessions.reason_for_customers(session, reason, staff)
    grant = _new(organization, staff, now)
    grant.reason, grant.access, grant.minutes = reason, access, minutes
    if managed:
        grant.status, grant.decided_at = "active", now
        grant.expires_at = now + timedelta(minutes=minutes)
    session.add(grant)
    session.flush()
    changes = [
        _change("access", None, access),
        _change("minutes", None, minutes),
        _change("status", None, grant.status),
    ]
    by = audit_log.support_actor(staff)
    _record(session, "support.requested", organization, grant, by, now, reason, changes)
    if not managed:
        support_emails.ask_for_consent(session, organization=organization, grant=grant, now=now)
    return grant


def _new(organization: Organization, staff: Staff, now: datetime) -> SupportGrant:
    """A request that waits for consent."""
    return SupportGrant(
        id=ids.new("grt"),
        organization_id=organization.id,
        provider_id=organization.provider_id,
        status="pending",
        requested_at=now,
        requested_by=staff.identity_id,
        requested_by_name=staff.name,
        expires_at=now + REQUEST_VALID_FOR,
    )


def approve_grant(
    session: Session, *, organization_id: str, grant_id: str, by: Actor, now: datetime
) -> SupportGrant:
    """The customer consents, by its owner or an admin whom its provider has not admitted; the
    granted time runs from now.

    Raises NoSuchGrant, NotTheCustomers, AccessChanged, NotConfirmed, RequestNotPending,
    OrganizationNotActive, ManagedServiceOff."""
    support_queries.grant(session, organization_id, grant_id)
    organization = _customer(session, organization_id, lock="use")
    deciding = _lock_deciding(session, organization_id, by)
    grant = support_queries.grant(session, organization_id, grant_id, lock="change")
    if queries.is_staff_of(session, by.id, grant.provider_id):
        raise NotTheCustomers()
    if organization.managed_by == "customer" and not deciding.confirmed:
        raise NotConfirmed()
    if grant.status != "pending" or grant.expires_at <= now:
        raise RequestNotPending()
    grant.status = "active"
    grant.decided_at = now
    grant.decided_by, grant.decided_by_name = by.id, by.label
    grant.expires_at = now + timedelta(minutes=grant.minutes)
    changes = [_change("status", "pending", "active")]
    _record(session, "support.approved", organization, grant, by, now, grant.reason, changes)
    return grant


def end_access(
    session: Session,
    *,
    organization_id: str,
    grant_or_session_id: str,
    staff: Staff | None,
    by: Actor,
    now: datetime,
) -> None:
    """End a grant with every acting session under it, or a single acting session.

    What has ended already stays as it is. ``staff``: None when the customer asks. Raises
    NoSuchGrant, AccessChanged."""
    is_session = ids.is_id("ses", grant_or_session_id)
    find = support_queries.acting if is_session else support_queries.grant
    find(session, organization_id, grant_or_session_id)
    if staff is None:
        _lock_deciding(session, organization_id, by)
    if is_session:
        acting = support_queries.acting(session, organization_id, grant_or_session_id)
        why = _why(acting.staff_identity_id, staff)
        acting_sessions.end_one(session, acting=acting, why=why, by=by, now=now)
        return
    grant = support_queries.grant(session, organization_id, grant_or_session_id, lock="change")
    if grant.status not in _OPEN or grant.expires_at <= now:
        return
    status = "ended"
    if grant.status == "pending" and staff is None:
        status = "refused"
        grant.decided_by, grant.decided_by_name, grant.decided_at = by.id, by.label, now
    _end(session, grant, status, why=_why(grant.requested_by, staff), by=by, now=now)


def end_grants(
    session: Session,
    *,
    why: str,
    now: datetime,
    organization_id: str | None = None,
    provider_id: str | None = None,
    requested_by: str | None = None,
) -> None:
    """End every open grant of an organization or a provider, or those of them that a staff member
    has requested, with the acting sessions under it."""
    query = select(SupportGrant).where(SupportGrant.status.in_(_OPEN)).order_by(SupportGrant.id)
    if organization_id is not None:
        query = query.where(SupportGrant.organization_id == organization_id)
    if provider_id is not None:
        query = query.where(SupportGrant.provider_id == provider_id)
    if requested_by is not None:
        query = query.where(SupportGrant.requested_by == requested_by)
    query = query.with_for_update().execution_options(populate_existing=True)
    for grant in session.scalars(query).all():
        _end(session, grant, "ended", why=why, by=SYSTEM, now=now)


def end_expired(session: Session, *, now: datetime, limit: int = 100) -> int:
    """End the requests, grants and acting sessions that have expired; returns how many."""
    expired = session.scalars(
        select(SupportGrant)
        .where(SupportGrant.expires_at <= now, SupportGrant.status.in_(_OPEN))
        .order_by(SupportGrant.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).all()
    for grant in expired:
        _end(session, grant, "expired", why=EXPIRED, by=SYSTEM, now=now)
    return len(expired) + acting_sessions.end_expired(session, now=now, limit=limit)


def erase_reasons(session: Session, *, organization_id: str) -> None:
    """Erase the reasons given for support in the organization, and the names of those who
    consented."""
    session.execute(
        update(SupportGrant)
        .where(SupportGrant.organization_id == organization_id)
        .values(reason="", decided_by_name=None)
    )
    session.execute(
        update(ActingSession)
        .where(ActingSession.organization_id == organization_id)
        .values(reason="")
    )


def check_managed_service(session: Session, organization: Organization) -> None:
    """Raise ManagedServiceOff unless the provider's setting is on. The setting stays locked until
    the commit."""
    settings = queries.settings_of(session, organization.provider_id, lock="use")
    if settings is None or settings.settings.get("managed_service") is not True:
        raise ManagedServiceOff()


def _lock_deciding(session: Session, organization_id: str, by: Actor) -> Member:
    """The owner or admin who decides for the customer, as the database has them now: a token
    outlives a removal or a change of role by seconds. Locked before grants, as disabling does.
    Raises AccessChanged."""
    members = queries.members_by_identity(session, organization_id, {by.id}, lock="use")
    member = members.get(by.id)
    if member is None or member.status != "active" or member.role not in (OWNER, ADMIN):
        raise AccessChanged()
    return member


def _customer(session: Session, organization_id: str, *, lock: str) -> Organization:
    organization = queries.organization(session, organization_id, lock=lock)
    if organization.kind != "customer":
        raise NotACustomer()
    if organization.state != "open":
        raise acting_sessions.OrganizationNotActive()
    check_managed_service(session, organization)
    return organization


def _why(identity_id: str, staff: Staff | None) -> str:
    """Why access ends; ``identity_id``: the staff member who requested it or is inside."""
    if staff is None:
        return BY_CUSTOMER
    return STOPPED if staff.identity_id == identity_id else BY_PROVIDER


def _end(
    session: Session, grant: SupportGrant, status: str, *, why: str, by: Actor, now: datetime
) -> None:
    changes = [_change("status", grant.status, status)]
    grant.status = status
    grant.ended_at, grant.ended_why = min(now, grant.expires_at), why
    acting_sessions.end_by_grant(session, grant=grant, why=why, by=by, now=now)
    organization = queries.organization(session, grant.organization_id)
    _record(session, f"support.{status}", organization, grant, by, now, why, changes)


def _change(field: str, before: Any, after: Any) -> dict[str, Any]:
    return {"field": field, "before": before, "after": after}


def _record(
    session: Session,
    action: str,
    organization: Organization,
    grant: SupportGrant,
    by: Actor,
    now: datetime,
    reason: str,
    changes: list[dict[str, Any]],
) -> None:
    audit_log.record(
        session,
        action,
        organization=organization,
        by=by,
        now=now,
        reason=reason,
        changes=changes,
        target={"type": "support_grant", "id": grant.id, "label": organization.name},
    )
