"""Remote Support: leave for the provider's staff to enter, asked for, given, used up."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from chassis import errors
from chassis.auth.actor import SYSTEM, Actor
from chassis.runtime import ids
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import acting_sessions, audit_log, mails
from membership.models import ActingSession, Member, Organization, SupportGrant
from membership.queries import support as found
from membership.values import receipts
from membership.values.mails import SUPPORT_ENDING, SUPPORT_RECEIPT, SUPPORT_REQUESTED
from membership.values.support import (
    BY_CUSTOMER,
    BY_PROVIDER,
    EXPIRED,
    REQUEST_OPEN,
    STOPPED,
    WARN_BEFORE,
    WARNED_OVER_MINUTES,
    Staff,
)

_OPEN = ("pending", "active")


class NotACustomer(errors.Conflict):
    code = "not_a_customer"
    detail = (
        "This is your own organization, which needs no grant. Choose a customer's organization."
    )


class RequestPending(errors.Conflict):
    code = "request_pending"
    detail = (
        "A request is already waiting for the customer's consent. Wait for it, or withdraw it "
        "first."
    )


class NotTheCustomers(errors.Forbidden):
    code = "forbidden"
    detail = (
        "You work for the provider that made the request. Someone else in the customer's "
        "organization has to consent."
    )


class RequestNotPending(errors.Conflict):
    code = "request_not_pending"
    detail = "This request is no longer waiting for consent. Check the list again."


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
    """Leave to enter: at once where the provider manages the organization, else once an owner or
    admin consents.

    Raises NotACustomer, OrganizationNotActive, ManagedServiceOff, RequestPending."""
    organization = _organization(session, organization_id, lock="change")
    managed = organization.managed_by == "provider"
    if not managed and found.pending_grant(session, organization_id, now) is not None:
        raise RequestPending()
    grant = SupportGrant(
        id=ids.new("grt"),
        organization_id=organization_id,
        provider_id=organization.provider_id,
        reason=reason,
        access=access,
        minutes=minutes,
        status="active" if managed else "pending",
        requested_at=now,
        requested_by=staff.identity_id,
        requested_by_name=staff.name,
        decided_at=now if managed else None,
        expires_at=now + (timedelta(minutes=minutes) if managed else REQUEST_OPEN),
    )
    session.add(grant)
    session.flush()
    by = audit_log.support_actor(staff)
    wanted = [
        _change("access", None, access),
        _change("minutes", None, minutes),
        _change("status", None, grant.status),
    ]
    _record(
        session,
        "support.requested",
        organization,
        grant,
        by=by,
        now=now,
        reason=reason,
        changes=wanted,
    )
    if not managed:
        for member in found.deciders(session, organization_id):
            _mail(
                session,
                SUPPORT_REQUESTED,
                organization,
                member,
                now,
                reason=reason,
                access=access,
                lasting=receipts.lasting(minutes),
                until=receipts.moment(grant.expires_at),
            )
    return grant


def approve_grant(
    session: Session, *, organization_id: str, grant_id: str, by: Actor, now: datetime
) -> SupportGrant:
    """The customer consents; the time runs from now. Raises NoSuchGrant, NotTheCustomers,
    RequestNotPending, OrganizationNotActive, ManagedServiceOff."""
    found.grant(session, organization_id, grant_id)
    organization = _organization(session, organization_id, lock="use")
    grant = found.grant(session, organization_id, grant_id, lock="change")
    if queries.works_for(session, by.id, grant.provider_id):
        raise NotTheCustomers()
    if grant.status != "pending" or grant.expires_at <= now:
        raise RequestNotPending()
    grant.status, grant.decided_at, grant.expires_at = (
        "active",
        now,
        now + timedelta(minutes=grant.minutes),
    )
    grant.decided_by, grant.decided_by_name = by.id, by.label
    changes = [_change("status", "pending", "active")]
    _record(
        session,
        "support.approved",
        organization,
        grant,
        by=by,
        now=now,
        reason=grant.reason,
        changes=changes,
    )
    return grant


def end_access(
    session: Session,
    *,
    organization_id: str,
    wanted: str,
    staff: Staff | None,
    by: Actor,
    now: datetime,
) -> None:
    """End a grant, with everybody's stay under it, or one stay alone (``wanted``: whose id). What
    is over already stays as it is. ``staff``: None where the customer wants it. Raises NoSuchGrant.
    """
    if ids.is_id("ses", wanted):
        one = found.acting(session, organization_id, wanted)
        acting_sessions.end_acting(
            session, acting=one, why=_why(one.staff_identity_id, staff), by=by, now=now
        )
        return
    grant = found.grant(session, organization_id, wanted, lock="change")
    if grant.status not in _OPEN or grant.expires_at <= now:
        return
    refused = grant.status == "pending" and staff is None
    if refused:
        grant.decided_by, grant.decided_by_name, grant.decided_at = by.id, by.label, now
    why = _why(grant.requested_by, staff)
    _end(session, grant, "refused" if refused else "ended", why=why, by=by, now=now)


def end_grants(
    session: Session,
    *,
    why: str,
    now: datetime,
    organization_id: str | None = None,
    provider_id: str | None = None,
) -> None:
    """Every grant of an organization, or of a provider, is over, and so is every stay under it."""
    query = select(SupportGrant).where(SupportGrant.status.in_(_OPEN)).order_by(SupportGrant.id)
    if organization_id is not None:
        query = query.where(SupportGrant.organization_id == organization_id)
    if provider_id is not None:
        query = query.where(SupportGrant.provider_id == provider_id)
    for grant in session.scalars(
        query.with_for_update().execution_options(populate_existing=True)
    ).all():
        _end(session, grant, "ended", why=why, by=SYSTEM, now=now)


def end_due(session: Session, *, now: datetime, limit: int = 100) -> int:
    """End what has run out: requests, grants, stays; answers how many."""
    over = _due(session, SupportGrant.expires_at <= now, limit)
    for grant in over:
        _end(session, grant, "expired", why=EXPIRED, by=SYSTEM, now=now)
    return len(over) + acting_sessions.end_due(session, now=now, limit=limit)


def warn_of_ends(session: Session, *, now: datetime, limit: int = 100) -> int:
    """Tell the owner, a day before and once, that a grant of more than two days ends; answers how
    many."""
    ending = (
        (SupportGrant.status == "active")
        & SupportGrant.warned_at.is_(None)
        & (SupportGrant.expires_at > now)
        & (SupportGrant.expires_at <= now + WARN_BEFORE)
        & (SupportGrant.minutes > WARNED_OVER_MINUTES)
    )
    soon = _due(session, ending, limit)
    for grant in soon:
        grant.warned_at = now
        owner = queries.owner(session, grant.organization_id)
        if owner is not None:
            organization = queries.organization(session, grant.organization_id)
            _mail(
                session,
                SUPPORT_ENDING,
                organization,
                owner,
                now,
                reason=grant.reason,
                until=receipts.moment(grant.expires_at),
            )
    return len(soon)


def mail_receipt(
    session: Session,
    *,
    organization_id: str,
    acting_id: str,
    rows: Iterable[dict[str, Any]],
    left_out: int,
    now: datetime,
) -> None:
    """Tell the owner, and whoever was acted as, what was done in their name; an erased organization
    has nobody."""
    organization = queries.organization(session, organization_id)
    one = found.acting(session, organization_id, acting_id)
    if organization.state == "erased" or one.ended_at is None:
        return
    owner = queries.owner(session, organization_id)
    acted_as = session.get(Member, one.member_id) if one.member_id else None
    told = {
        m.id: m for m in (owner, acted_as) if m is not None and m.email and m.status in queries.HERE
    }
    for member in told.values():
        _mail(
            session,
            SUPPORT_RECEIPT,
            organization,
            member,
            now,
            reason=one.reason,
            how="by Remote Support" if acted_as is None else f"as {acted_as.name}",
            began=receipts.moment(one.started_at),
            ended=receipts.moment(one.ended_at),
            lasting=receipts.lasting(round((one.ended_at - one.started_at).total_seconds() / 60)),
            why=receipts.WHY[one.ended_why or STOPPED],
            changes=receipts.told(rows, left_out),
        )


def forget_words(session: Session, *, organization_id: str) -> None:
    """Erase what was written about people of the organization, and who of them decided."""
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


def _organization(session: Session, organization_id: str, *, lock: str) -> Organization:
    organization = queries.organization(session, organization_id, lock=lock)
    if organization.kind != "customer":
        raise NotACustomer()
    if organization.state != "open":
        raise acting_sessions.OrganizationNotActive()
    acting_sessions.check_managed(session, organization)
    return organization


def _why(whose: str, staff: Staff | None) -> str:
    if staff is None:
        return BY_CUSTOMER
    return STOPPED if staff.identity_id == whose else BY_PROVIDER


def _due(session: Session, which: ColumnElement[bool], limit: int) -> list[SupportGrant]:
    query = (
        select(SupportGrant)
        .where(which, SupportGrant.status.in_(_OPEN))
        .order_by(SupportGrant.id)
        .limit(limit)
    )
    query = query.with_for_update(skip_locked=True).execution_options(populate_existing=True)
    return list(session.scalars(query))


def _end(
    session: Session, grant: SupportGrant, status: str, *, why: str, by: Actor, now: datetime
) -> None:
    before, grant.status = grant.status, status
    grant.ended_at, grant.ended_why = min(now, grant.expires_at), why
    acting_sessions.end_under(session, grant=grant, why=why, by=by, now=now)
    _record(
        session,
        f"support.{status}",
        queries.organization(session, grant.organization_id),
        grant,
        by=by,
        now=now,
        reason=why,
        changes=[_change("status", before, status)],
    )


def _change(field: str, before: Any, after: Any) -> dict[str, Any]:
    return {"field": field, "before": before, "after": after}


def _record(
    session: Session,
    action: str,
    organization: Organization,
    grant: SupportGrant,
    *,
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


def _mail(
    session: Session,
    purpose: str,
    organization: Organization,
    member: Member,
    now: datetime,
    **figures: str,
) -> None:
    if member.email and member.verified:
        mails.queue_notice(
            session,
            purpose=purpose,
            organization=organization,
            email=member.email,
            name=member.given_name or member.name,
            now=now,
            **figures,
        )
