"""A person's own name, which they choose for all organizations, and the labels that organizations
give them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chassis import errors, names
from chassis.auth.actor import Actor
from sqlalchemy import update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import audit_log, member_events
from membership.models import ApiKey, Identity, Member, Organization

PARTS = ("given_name", "family_name")


def check_name(name: str) -> None:
    """Raise Invalid for a whole name that imitates people who were erased: its parts alone may be
    allowed."""
    if names.is_reserved(name):
        raise errors.invalid("/family_name", "reserved", names.RESERVED)


def name_member(member: Member, fields: Mapping[str, Any]) -> None:
    """Name a member as the organization knows them. It changes the name itself only where no person
    has one of their own yet: before joining, and without a login. Raises Invalid."""
    if not fields.keys() & {"name", *PARTS}:
        return
    parts = [fields.get(part) or getattr(member, part) or "" for part in PARTS]
    name = fields.get("name") or " ".join(parts).strip()
    check_name(name)
    if member.verified:
        member.label = None if name == member.name else name
        return
    for part in PARTS:
        if part in fields:
            setattr(member, part, fields[part])
    member.name = name
    member.label = name if member.portal_access else None


def choose_on_joining(identity: Identity, member: Member, chosen: Mapping[str, str]) -> None:
    """The own name of a person who joins for the first time: the one they choose, or the one in the
    invitation that they accept. Raises Invalid."""
    if identity.email_verified_at is None:
        identity.given_name = chosen.get("given_name") or member.given_name or member.name
        identity.family_name = chosen.get("family_name") or member.family_name or ""
        check_name(identity.name)


def show_own(member: Member, identity: Identity) -> None:
    """Show the person's own name in the organization, whose own name for them becomes a label."""
    known_as = member.shown_name
    member.given_name, member.family_name = identity.given_name, identity.family_name
    member.name = identity.name
    member.label = None if known_as == member.name else known_as
    member.update_search()


def keep_label(member: Member) -> None:
    """Name a member who has no login any more as the organization knows them."""
    if member.label:
        member.name, member.given_name, member.family_name = member.label, None, None
    member.label = None


def rename_person(
    session: Session,
    *,
    identity: Identity,
    memberships: list[queries.Membership],
    fields: Mapping[str, str],
    now: datetime,
) -> None:
    """Change a person's own name in all organizations that they have joined; labels stay. The rows
    are locked. Raises Invalid."""
    before = identity.name
    for part in PARTS:
        if part in fields:
            setattr(identity, part, fields[part])
    if identity.name == before:
        return
    check_name(identity.name)
    for member, organization in memberships:
        if member.verified:
            _rename_member(session, member, organization, identity, now)


def _rename_member(
    session: Session, member: Member, organization: Organization, identity: Identity, now: datetime
) -> None:
    by: Actor = audit_log.member_actor(member, organization)
    before = {part: getattr(member, part) for part in ("name", *PARTS)}
    member.given_name, member.family_name = identity.given_name, identity.family_name
    member.name = identity.name
    member.label = None if member.label == member.name else member.label
    member.update_search()
    session.execute(
        update(ApiKey)
        .where(ApiKey.created_by == identity.id, ApiKey.organization_id == organization.id)
        .values(created_by_name=member.name)
    )
    member_events.publish_members_changed(session, organization.id)
    audit_log.record(
        session,
        "member.updated",
        organization=organization,
        member=member,
        by=by,
        now=now,
        changes=[
            {"field": part, "before": value, "after": getattr(member, part)}
            for part, value in before.items()
            if value != getattr(member, part)
        ],
    )
