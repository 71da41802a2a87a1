"""How sagas are started: by a request of a person, or by the clock."""

from datetime import datetime
from typing import Any

from chassis.auth.actor import SYSTEM, Actor
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import org
from sqlalchemy.orm import Session

from org import actions, queries, values
from org.models import Deletion, GraceOver, Organization, ReactivationInProgress
from org.sagas.progress import begin


def start_opening(session: Session, *, now: datetime, **details: Any) -> Organization:
    """Create a customer and have its account opened; ``details`` as in ``create_organization``."""
    organization = actions.create_organization(session, now=now, **details)
    begin(session, organization, "opening", now=now)
    return organization


def start_deletion(
    session: Session, *, organization_id: str, now: datetime, by: Actor, reason: str | None
) -> Deletion:
    """Request a deletion; if one is requested or scheduled already, that one.

    Raises the status's refusal, ReactivationInProgress."""
    organization = queries.organization(session, organization_id, lock=True)
    if organization.transition("delete") == "existing":
        deletion = queries.latest_deletion(session, organization_id)
        if deletion.status == "cancelled":
            raise ReactivationInProgress()
        return deletion
    _end_suspension(session, organization_id, now)
    deletion = Deletion(
        id=ids.new("del"),
        organization_id=organization.id,
        status="asked",
        status_before=organization.status,
        reason=reason,
        requested_by={"kind": by.kind, "id": by.id, "label": by.label},
        requested_at=now,
        blockers=[],
    )
    session.add(deletion)
    actions.change_status(
        session,
        organization,
        values.CLOSING,
        now=now,
        by=by,
        action="deletion.requested",
        reason=reason,
    )
    begin(session, organization, "deletion", now=now, deletion_id=deletion.id)
    return deletion


def start_suspension(
    session: Session, *, organization_id: str, now: datetime, by: Actor, reason: str | None
) -> Organization:
    """No one logs in, nothing is charged; the money stays. The status changes at once and the other
    services are told; they are asked until both have confirmed it. An organization that is
    suspended already stays as it is. Raises the status's refusal, ReactivationInProgress."""
    organization = queries.organization(session, organization_id, lock=True)
    transition = organization.transition("suspend")
    saga = queries.open_saga(session, organization_id)
    if saga is not None and saga.kind != "suspension":
        raise ReactivationInProgress()
    if transition == "same":
        return organization
    actions.suspend_organization(session, organization=organization, now=now, by=by, reason=reason)
    begin(session, organization, "suspension", now=now)
    return organization


def start_reactivation(
    session: Session, *, organization_id: str, now: datetime, by: Actor
) -> Organization:
    """Undo a suspension or a scheduled deletion; the status changes when billing and membership
    have replied. An organization that is active, or being reactivated, stays as it is.

    Raises the status's refusal, GraceOver."""
    organization = queries.organization(session, organization_id, lock=True)
    if organization.transition("activate") == "same":
        return organization
    saga = queries.open_saga(session, organization_id)
    if saga is not None and saga.kind == "suspension":
        saga.finished_at = now
    elif saga is not None:
        _refuse_while_purging(session, organization)
        return organization
    status_after = values.ACTIVE
    if organization.status == values.SUSPENDED_FOR_DELETION:
        deletion = queries.latest_deletion(session, organization_id)
        deletion.cancel(now)
        organization.purge_at = None
        status_after = deletion.status_before
        outbox.publish(
            session,
            org.DeletionCancelled(
                organization_id=organization.id,
                provider_id=organization.provider_id,
                deletion_id=deletion.id,
            ),
        )
    actions.record(session, organization, "organization.activation_requested", by=by, now=now)
    begin(session, organization, "reactivation", now=now, status_after=status_after)
    return organization


def start_purge(session: Session, *, deletion: Deletion, now: datetime) -> None:
    """The grace period is over: have the account checked once more and sealed."""
    organization = queries.organization(session, deletion.organization_id, lock=True)
    deletion.status = "purging"
    actions.record(session, organization, "deletion.purge_begun", by=SYSTEM, now=now)
    begin(session, organization, "purge", now=now, deletion_id=deletion.id)


def _end_suspension(session: Session, organization_id: str, now: datetime) -> None:
    """End the saga of a suspension, which a deletion replaces. Raises ReactivationInProgress if the
    organization is in another saga."""
    saga = queries.open_saga(session, organization_id)
    if saga is None:
        return
    if saga.kind != "suspension":
        raise ReactivationInProgress()
    saga.finished_at = now


def _refuse_while_purging(session: Session, organization: Organization) -> None:
    if organization.status != values.SUSPENDED_FOR_DELETION:
        return
    if queries.latest_deletion(session, organization.id).status == "purging":
        raise GraceOver()
