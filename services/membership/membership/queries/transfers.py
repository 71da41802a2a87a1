"""Changes of ownership."""

from datetime import datetime
from typing import Any, NamedTuple

from chassis import errors
from chassis.runtime import ids
from sqlalchemy import or_, select
from sqlalchemy.orm import Session, aliased

from membership.models import Member, OwnershipTransfer
from membership.queries.locking import locked
from membership.queries.people import HERE, NoSuchMember


class NoSuchTransfer(errors.NotFound):
    code = "not_found"
    detail = "There is no such change of ownership. Check the list again."


class Handover(NamedTuple):
    """A change of ownership with those between whom it is."""

    transfer: OwnershipTransfer
    giver: Member
    taker: Member


def transfers(organization_id: str) -> Any:
    """The list of changes with those between whom they are, newest first."""
    giver, taker = aliased(Member), aliased(Member)
    return (
        select(OwnershipTransfer, giver, taker)
        .join(giver, giver.id == OwnershipTransfer.from_member_id)
        .join(taker, taker.id == OwnershipTransfer.to_member_id)
        .where(OwnershipTransfer.organization_id == organization_id)
        .order_by(OwnershipTransfer.id.desc())
    )


def transfer(session: Session, organization_id: str, transfer_id: str) -> Handover:
    """One change of ownership. Raises NoSuchTransfer."""
    if not ids.is_id("grt", transfer_id):
        raise NoSuchTransfer()
    found = session.execute(
        transfers(organization_id).where(OwnershipTransfer.id == transfer_id)
    ).one_or_none()
    if found is None:
        raise NoSuchTransfer()
    return Handover(*found)


def offer(session: Session, organization_id: str) -> OwnershipTransfer | None:
    """The offer that was neither accepted nor cancelled; its time may be over."""
    return session.scalars(
        select(OwnershipTransfer).where(
            OwnershipTransfer.organization_id == organization_id,
            OwnershipTransfer.status == "offered",
        )
    ).one_or_none()


def due_offer(session: Session, now: datetime) -> OwnershipTransfer | None:
    """The offer whose time has been over for longest."""
    query = select(OwnershipTransfer).where(
        OwnershipTransfer.status == "offered", OwnershipTransfer.expires_at <= now
    )
    return session.scalars(query.order_by(OwnershipTransfer.expires_at).limit(1)).one_or_none()


def last_change_of_owner(session: Session, organization_id: str) -> str | None:
    """The newest transfer that holds."""
    return session.scalar(
        select(OwnershipTransfer.id)
        .where(
            OwnershipTransfer.organization_id == organization_id,
            OwnershipTransfer.status == "completed",
        )
        .order_by(OwnershipTransfer.id.desc())
        .limit(1)
    )


def owner_and(session: Session, organization_id: str, member_id: str) -> tuple[Member, Member]:
    """The owner and that member, both locked against others, in the order of their ids. Raises
    NoSuchMember."""
    query = select(Member).where(
        Member.organization_id == organization_id,
        Member.status.in_(HERE),
        or_(Member.role == "owner", Member.id == member_id),
    )
    found = {
        member.id: member for member in session.scalars(locked(query.order_by(Member.id), "change"))
    }
    if member_id not in found:
        raise NoSuchMember()
    return next(member for member in found.values() if member.role == "owner"), found[member_id]
