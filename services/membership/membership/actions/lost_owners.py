"""A lost owner is replaced 72 hours after the provider's owner has asked for it, unless the owner
or an admin stops it."""

from datetime import datetime

from chassis import errors
from chassis.auth.actor import SYSTEM, Actor
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import audit_log, members, transfers
from membership.models import Organization, OwnershipTransfer
from membership.queries import Membership


def stop_by_link(session: Session, membership: Membership, now: datetime) -> None:
    """Stop the scheduled transfer for this owner or admin. Raises LinkSpent where there is none."""
    member, organization = membership
    transfer = queries.scheduled_transfer(session, organization.id)
    if transfer is None:
        raise queries.LinkSpent()
    session.refresh(transfer, with_for_update=True)
    if transfer.status != "scheduled":
        raise queries.LinkSpent()
    by = audit_log.member_actor(member, organization)
    transfers.end(session, transfer, organization, "cancelled", by, now)


def cancel_scheduled(
    session: Session, *, organization: Organization, by: Actor, now: datetime
) -> None:
    """Cancel the organization's scheduled transfer, if there is one."""
    transfer = queries.scheduled_transfer(session, organization.id)
    if transfer is not None:
        transfers.end(session, transfer, organization, "cancelled", by, now)


def settle_due(session: Session, *, now: datetime) -> int:
    """Expire one offer, or let one scheduled transfer take effect; returns how many were due."""
    due = queries.due_transfer(session, now)
    if due is None:
        return 0
    organization = queries.organization(session, due.organization_id, lock="change")
    session.refresh(due)
    if due.expires_at > now:
        return 1
    if due.status == "offered":
        transfers.end(session, due, organization, "expired", SYSTEM, now)
    elif due.status == "scheduled":
        _take_effect(session, due, organization, now)
    return 1


def _take_effect(
    session: Session, transfer: OwnershipTransfer, organization: Organization, now: datetime
) -> None:
    """Expires instead where the new owner is not eligible any more."""
    try:
        members.check_editable(organization)
        pair = queries.lock_owner_and_member(session, organization.id, transfer.to_member_id)
        transfers.complete(
            session, transfer, organization, pair, "ownership.transferred", SYSTEM, now
        )
    except (errors.Conflict, errors.Gone, queries.NoSuchMember):
        transfers.end(session, transfer, organization, "expired", SYSTEM, now)
