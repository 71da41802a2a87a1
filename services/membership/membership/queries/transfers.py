"""Transfers of ownership."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from chassis import errors
from chassis.runtime import ids
from sqlalchemy import or_, select
from sqlalchemy.orm import Session, aliased

from membership.models import Member, OwnershipTransfer
from membership.queries.locking import locked
from membership.queries.people import CURRENT_STATUSES, NoSuchMember

_OPEN = ("offered", "scheduled")


class NoSuchTransfer(errors.NotFound):
    code = "not_found"
    detail = "There is no such change of ownership. Check the list again."


class TransferWithMembers(NamedTuple):
    """A transfer with the two members."""

    transfer: OwnershipTransfer
    giver: Member
    taker: Member


def transfers(organization_id: str) -> Any:
    """The list of transfers with their members, newest first."""
    giver, taker = aliased(Member), aliased(Member)
    return (
        select(OwnershipTransfer, giver, taker)
        .join(giver, giver.id == OwnershipTransfer.from_member_id)
        .join(taker, taker.id == OwnershipTransfer.to_member_id)
        .where(OwnershipTransfer.organization_id == organization_id)
        .order_by(OwnershipTransfer.id.desc())
    )


def transfer(session: Session, organization_id: str, transfer_id: str) -> TransferWithMembers:
    """Raises NoSuchTransfer."""
    if not ids.is_id("grt", transfer_id):
        raise NoSuchTransfer()
    row = session.execute(
        transfers(organization_id).where(OwnershipTransfer.id == transfer_id)
    ).one_or_none()
    if row is None:
        raise NoSuchTransfer()
    return TransferWithMembers(*row)


def offer(session: Session, organization_id: str) -> OwnershipTransfer | None:
    """The offer that was neither accepted nor canceled, which may have expired, or the scheduled
    transfer."""
    return session.scalars(
        select(OwnershipTransfer).where(
            OwnershipTransfer.organization_id == organization_id,
            OwnershipTransfer.status.in_(_OPEN),
        )
    ).one_or_none()


def scheduled_transfer(session: Session, organization_id: str) -> OwnershipTransfer | None:
    """The scheduled transfer of this organization."""
    pending = offer(session, organization_id)
    return pending if pending is not None and pending.status == "scheduled" else None


def may_stop_transfers(session: Session, organization_id: str) -> Sequence[Member]:
    """The members who may stop a scheduled transfer: the owner and the admins."""
    return session.scalars(
        select(Member)
        .where(
            Member.organization_id == organization_id,
            Member.role.in_(("owner", "admin")),
            Member.status.in_(("pending", "active")),
            Member.identity_id.is_not(None),
        )
        .order_by(Member.id)
    ).all()


def due_transfer(session: Session, now: datetime) -> OwnershipTransfer | None:
    """The offer or scheduled transfer that was due first and has not been settled."""
    query = select(OwnershipTransfer).where(
        OwnershipTransfer.status.in_(_OPEN), OwnershipTransfer.expires_at <= now
    )
    return session.scalars(query.order_by(OwnershipTransfer.expires_at).limit(1)).one_or_none()


def last_completed_transfer(session: Session, organization_id: str) -> str | None:
    """The id of the newest transfer that took effect."""
    return session.scalar(
        select(OwnershipTransfer.id)
        .where(
            OwnershipTransfer.organization_id == organization_id,
            OwnershipTransfer.status == "completed",
        )
        .order_by(OwnershipTransfer.id.desc())
        .limit(1)
    )


def lock_owner_and_member(
    session: Session, organization_id: str, member_id: str
) -> tuple[Member, Member]:
    """The owner and that member, both locked, in the order of their ids. Raises NoSuchMember."""
    query = select(Member).where(
        Member.organization_id == organization_id,
        Member.status.in_(CURRENT_STATUSES),
        or_(Member.role == "owner", Member.id == member_id),
    )
    rows = session.scalars(locked(query.order_by(Member.id), "change")).all()
    members = {member.id: member for member in rows}
    if member_id not in members:
        raise NoSuchMember()
    owner = next(member for member in rows if member.role == "owner")
    return owner, members[member_id]
