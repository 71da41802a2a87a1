"""Telling others what has happened."""

from datetime import datetime
from typing import Any

from chassis import audit
from chassis.auth.actor import Actor
from chassis.messaging import outbox
from contracts import membership as messages
from sqlalchemy.orm import Session

from membership import queries
from membership.models import ActingSession, Member, Organization
from membership.values.support import SHOWN_AS, SUPPORT, Staff


def owner_of(member: Member) -> messages.Owner:
    """The owner as others list them."""
    return messages.Owner(
        member_id=member.id,
        given_name=member.given_name or member.name,
        family_name=member.family_name or "",
        email=member.email or "",
        verified=member.verified,
    )


def say_members_changed(session: Session, organization_id: str) -> None:
    """Say how many people the organization has now, and who owns it."""
    session.flush()
    owner = queries.owner(session, organization_id)
    if owner is None:
        return
    members, admins = queries.counts(session, organization_id)
    audit.lock(session, organization_id)  # the chain before the stream, as everybody
    outbox.publish(
        session,
        messages.MembersChanged(
            organization_id=organization_id, members=members, admins=admins, owner=owner_of(owner)
        ),
    )


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


def as_inside(acting: ActingSession, member: Member | None) -> Actor:
    """Staff in a customer's place, as their token names them: the member they act as, or nobody."""
    if member is not None:
        return Actor(
            kind="support",
            id=member.identity_id or member.id,
            label=member.name,
            acting=acting.act(),
        )
    return Actor(kind="support", id=acting.principal, label=SUPPORT, acting=acting.act())


def as_support(staff: Staff) -> Actor:
    """Staff who do something about support from outside: the customer does not learn who."""
    return Actor(kind="support", id=SHOWN_AS, label=SUPPORT, acting=staff.act())


def as_actor(member: Member, organization: Organization) -> Actor:
    """The member as somebody who does something."""
    kind = "staff" if organization.kind == "provider" else "member"
    return Actor(kind=kind, id=member.identity_id or member.id, label=member.name)
