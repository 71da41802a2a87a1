"""Audit records, and the actors that they name."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from chassis import audit
from chassis.auth.actor import Actor
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import membership as messages
from sqlalchemy.orm import Session

from membership.models import ActingSession, Member, Organization
from membership.values.support import SUPPORT, SUPPORT_ID, Staff


def record(
    session: Session,
    action: str,
    *,
    organization: Organization,
    by: Actor,
    now: datetime,
    member: Member | None = None,
    changes: list[dict[str, Any]] | None = None,
    outcome: str = "ok",
    reason: str | None = None,
    target: dict[str, str] | None = None,
) -> None:
    """Write an audit row about a member, or another ``target`` ({type, id, label})."""
    target = {"type": "member", "id": member.id, "label": member.name} if member else target
    audit.record(
        session,
        messages.AuditRecorded,
        organization_id=organization.id,
        provider_id=organization.provider_id,
        action=action,
        by=by,
        now=now,
        target=target,
        changes=changes,
        outcome=outcome,
        reason=reason,
    )


def acting_actor(acting: ActingSession, member: Member | None) -> Actor:
    """Staff in an acting session: the member they act as, or support."""
    if member is not None:
        return Actor(
            kind="support",
            id=member.identity_id or member.id,
            label=member.name,
            acting=acting.act(),
        )
    return Actor(kind="support", id=acting.principal, label=SUPPORT, acting=acting.act())


def support_actor(staff: Staff) -> Actor:
    """Staff who manage support access. The customer does not see who it is."""
    return Actor(kind="support", id=SUPPORT_ID, label=SUPPORT, acting=staff.act())


def member_actor(member: Member, organization: Organization) -> Actor:
    """The member as an actor."""
    kind = "staff" if organization.kind == "provider" else "member"
    return Actor(kind=kind, id=member.identity_id or member.id, label=member.name)


def erase_people(session: Session, people: Collection[str], *, now: datetime) -> None:
    """Take people who were erased, by the ids of identities and members, out of the audit log of
    every service."""
    audit.erase_people(session, people, now=now)
    message = messages.PeopleErased(erasure_id=ids.new("era"), people=sorted(people))
    outbox.publish(session, message)
