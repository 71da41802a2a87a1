"""Transfers of ownership: at once by the provider's staff, or by an offer from the owner."""

from datetime import datetime, timedelta

from chassis import errors
from chassis.auth.actor import SYSTEM, Actor
from chassis.runtime import ids
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import (
    acting_sessions,
    audit_log,
    key_makers,
    logouts,
    member_events,
    member_roles,
    members,
    owner_emails,
)
from membership.models import Member, Organization, OwnershipTransfer
from membership.values.authority import BY_PROVIDER
from membership.values.mails import OWNERSHIP_GIVEN, OWNERSHIP_OFFERED, OWNERSHIP_TAKEN

VALID_FOR = timedelta(hours=72)  # an offer, and the possibility to undo a transfer by staff


class AlreadyOwner(errors.Conflict):
    code = "already_owner"
    detail = "This member is already the owner. Choose someone else."


class MemberNotEligible(errors.Conflict):
    code = "member_not_eligible"
    detail = (
        "Only an active member with portal access and a verified email address can be the owner. "
        "Change that first."
    )


class TransferPending(errors.Conflict):
    code = "transfer_pending"
    detail = (
        "The ownership has already been offered to someone, or a change of owner is scheduled. "
        "Wait for it, or cancel it first."
    )


class OwnerChanged(errors.Conflict):
    code = "owner_changed"
    detail = (
        "The owner has changed again since. Undo the latest change of ownership first, or make a "
        "new one."
    )


class OfferOver(errors.Gone):
    code = "offer_over"
    detail = "This offer is no longer open. Ask the owner for a new one."


class UndoOver(errors.Gone):
    code = "undo_over"
    detail = "This change of ownership can no longer be undone. Change the owner again instead."


class NotTheOwner(errors.Forbidden):
    code = "forbidden"
    detail = "Only the owner can transfer the ownership. Ask them, or your provider."


class CannotStop(errors.Forbidden):
    code = "forbidden"
    detail = "Only the owner, an admin or the provider can stop this transfer. Ask one of them."


class NotTheTarget(errors.Forbidden):
    code = "forbidden"
    detail = "Only the member who was offered the ownership can accept it."


class NotByProvider(errors.Forbidden):
    code = "forbidden"
    detail = "The provider changed the owner, and only the provider can undo it. Ask them."


def transfer_ownership(
    session: Session, *, organization_id: str, member_id: str, reason: str, by: Actor, now: datetime
) -> OwnershipTransfer:
    """Make a member the owner at once, as the customer's provider, or offer one's own ownership to
    a member. Where the customer manages itself, the provider's owner may only schedule it.

    Raises NoSuchMember, AlreadyOwner, MemberNotEligible, TransferPending, AdminLimit, NotTheOwner,
    CustomerManaged, AdminsChanged, OrganizationNotActive."""
    organization = queries.organization(session, organization_id, lock="change")
    by_staff = _check_giver(session, organization, by)
    at_once = by_staff and not _has_to_wait(session, organization, by, now)
    members.check_editable(organization)
    owner, target = queries.lock_owner_and_member(session, organization_id, member_id)
    if target is owner:
        raise AlreadyOwner()
    _check_eligible(target)
    if not at_once:
        _check_none_pending(session, organization_id, now)
    cancel_offer(session, organization=organization, by=by, now=now)
    transfer = _new(owner, target, by_staff=by_staff, reason=reason, now=now)
    session.add(transfer)
    session.flush()
    if at_once:
        pair = (owner, target)
        complete(session, transfer, organization, pair, "ownership.transferred", by, now)
        return transfer
    if by_staff:
        transfer.status = "scheduled"
        owner_emails.announce(session, transfer, target, now)
    else:
        owner_emails.notify(session, OWNERSHIP_OFFERED, organization, target, owner, now)
    _record_status(session, organization, target, transfer, None, by, now)
    return transfer


def _has_to_wait(session: Session, organization: Organization, by: Actor, now: datetime) -> bool:
    """Whether a transfer by these staff takes effect only later, so that it can be stopped: where
    the customer manages itself, and for the provider's owner only.

    Raises CustomerManaged for others; OrganizationNotActive and AdminsChanged, since those who
    should be able to stop it could not."""
    if organization.managed_by != "customer":
        return False
    owner = queries.owner(session, organization.provider_id)
    if owner is None or owner.identity_id != by.id:
        raise member_roles.CustomerManaged()
    if organization.state != "open":
        raise acting_sessions.OrganizationNotActive()
    member_roles.check_admins_kept(organization, now)
    return True


def _check_none_pending(session: Session, organization_id: str, now: datetime) -> None:
    pending = queries.offer(session, organization_id)
    if pending is not None and pending.status_at(now) in ("offered", "scheduled"):
        raise TransferPending(transfer_id=pending.id)


def _new(
    owner: Member, target: Member, *, by_staff: bool, reason: str, now: datetime
) -> OwnershipTransfer:
    return OwnershipTransfer(
        id=ids.new("grt"),
        organization_id=owner.organization_id,
        from_member_id=owner.id,
        to_member_id=target.id,
        to_role=target.role,
        by_staff=by_staff,
        reason=reason,
        status="offered",
        created_at=now,
        expires_at=now + VALID_FOR,
    )


def accept_transfer(
    session: Session, *, organization_id: str, transfer_id: str, by: Actor, now: datetime
) -> OwnershipTransfer:
    """Accept an offer of ownership.

    Raises NoSuchTransfer, NotTheTarget, OfferOver, MemberNotEligible, AdminLimit."""
    organization = queries.organization(session, organization_id, lock="change")
    transfer, _, target = queries.transfer(session, organization_id, transfer_id)
    target_actor = audit_log.member_actor(target, organization)
    if (by.kind, by.id) != (target_actor.kind, target_actor.id):
        raise NotTheTarget()
    members.check_editable(organization)
    if transfer.status_at(now) != "offered":
        raise OfferOver()
    pair = queries.lock_owner_and_member(session, organization_id, target.id)
    complete(session, transfer, organization, pair, "ownership.accepted", by, now)
    return transfer


def cancel_or_undo_transfer(
    session: Session, *, organization_id: str, transfer_id: str, by: Actor, now: datetime
) -> OwnershipTransfer:
    """Cancel an offer, stop a scheduled transfer, or undo a transfer by the provider's staff.

    Raises NoSuchTransfer, OfferOver, UndoOver, OwnerChanged, MemberNotEligible, NotTheOwner,
    CannotStop, NotByProvider, CustomerManaged."""
    organization = queries.organization(session, organization_id, lock="change")
    transfer = queries.transfer(session, organization_id, transfer_id).transfer
    if transfer.status == "scheduled":
        _check_may_stop(session, organization, by)
        end(session, transfer, organization, "cancelled", by, now)
        return transfer
    at_once = _check_giver(session, organization, by)
    is_undo = transfer.by_staff
    if is_undo and not at_once:
        raise NotByProvider()
    if is_undo:
        member_roles.check_provider_manages(organization)
    members.check_editable(organization)
    if is_undo:
        _undo(session, transfer, organization, by, now)
    elif transfer.status_at(now) == "offered":
        end(session, transfer, organization, "cancelled", by, now)
    elif transfer.status == "completed":
        raise UndoOver()
    else:
        raise OfferOver()
    return transfer


def cancel_offer(session: Session, *, organization: Organization, by: Actor, now: datetime) -> None:
    """Cancel the organization's offer or scheduled transfer, if there is one; an offer past its
    time expires instead."""
    offer = queries.offer(session, organization.id)
    if offer is None:
        return
    if offer.status_at(now) == "expired":
        end(session, offer, organization, "expired", SYSTEM, now)
    else:
        end(session, offer, organization, "cancelled", by, now)


def _check_giver(session: Session, organization: Organization, by: Actor) -> bool:
    """Whether the transfer takes effect at once, because the provider makes it.

    Raises NotTheOwner. Checked in the database, since a token may be older than a change of
    role."""
    if by.kind == "staff" and organization.kind == "customer":
        return True
    owner = queries.owner(session, organization.id)
    if owner is None or owner.identity_id != by.id:
        raise NotTheOwner()
    return False


def _check_may_stop(session: Session, organization: Organization, by: Actor) -> None:
    """Raise CannotStop unless it is the provider, the owner or an admin. Checked in the
    database."""
    stoppers = queries.may_stop_transfers(session, organization.id)
    if by.kind != "staff" and by.id not in {member.identity_id for member in stoppers}:
        raise CannotStop()


def _check_eligible(member: Member) -> None:
    if member.status != "active" or not member.portal_access or not member.verified:
        raise MemberNotEligible()


def complete(
    session: Session,
    transfer: OwnershipTransfer,
    organization: Organization,
    pair: tuple[Member, Member],
    action: str,
    by: Actor,
    now: datetime,
) -> None:
    """Let the transfer take effect between the two locked members, owner first. Raises
    MemberNotEligible, AdminLimit."""
    _check_eligible(pair[1])
    transfer.to_role, transfer.status, transfer.ended_at = pair[1].role, "completed", now
    if transfer.by_staff:
        pair[1].admitted_by = BY_PROVIDER
    _hand_over(session, transfer, organization, pair, "admin", action, by, now)


def _undo(
    session: Session,
    transfer: OwnershipTransfer,
    organization: Organization,
    by: Actor,
    now: datetime,
) -> None:
    if transfer.status != "completed" or transfer.expires_at <= now:
        raise UndoOver()
    if queries.last_completed_transfer(session, organization.id) != transfer.id:
        raise OwnerChanged()
    try:
        pair = queries.lock_owner_and_member(session, organization.id, transfer.from_member_id)
    except queries.NoSuchMember as gone:
        raise MemberNotEligible() from gone
    _check_eligible(pair[1])
    cancel_offer(session, organization=organization, by=by, now=now)
    transfer.status, transfer.ended_at = "undone", now
    _hand_over(session, transfer, organization, pair, transfer.to_role, "ownership.undone", by, now)


def _hand_over(
    session: Session,
    transfer: OwnershipTransfer,
    organization: Organization,
    pair: tuple[Member, Member],
    role: str,
    action: str,
    by: Actor,
    now: datetime,
) -> None:
    """Transfer the ownership from the first of the pair to the second; the first gets ``role``."""
    giver, taker = pair
    if role == "admin":
        leaving = 1 if taker.role == "admin" else 0
        member_roles.check_admin_limit(session, organization.id, leaving=leaving)
    giver.role = role
    session.flush()  # the index allows one owner at a time
    taker.role = "owner"
    for member in sorted(pair, key=lambda member: member.id):
        logouts.revoke_tokens(session, member_id=member.id, now=now)
    owner_emails.notify(session, OWNERSHIP_TAKEN, organization, giver, taker, now)
    owner_emails.notify(session, OWNERSHIP_GIVEN, organization, taker, giver, now)
    audit_log.record(
        session,
        action,
        organization=organization,
        member=taker,
        by=by,
        now=now,
        reason=transfer.reason,
        changes=[{"field": "owner", "before": giver.id, "after": taker.id}],
    )
    key_makers.suspend_orphaned(session, organization_id=organization.id, now=now)
    member_events.publish_members_changed(session, organization.id)


def end(
    session: Session,
    offer: OwnershipTransfer,
    organization: Organization,
    status: str,
    by: Actor,
    now: datetime,
) -> None:
    """End an offer or a scheduled transfer with this status."""
    offer.status, offer.ended_at = status, now
    session.flush()
    target = session.get_one(Member, offer.to_member_id)
    _record_status(session, organization, target, offer, "offered", by, now)


def _record_status(
    session: Session,
    organization: Organization,
    target: Member,
    offer: OwnershipTransfer,
    before: str | None,
    by: Actor,
    now: datetime,
) -> None:
    audit_log.record(
        session,
        f"ownership.{offer.status}",
        organization=organization,
        member=target,
        by=by,
        now=now,
        changes=[{"field": "status", "before": before, "after": offer.status}],
        reason=offer.reason,
    )
