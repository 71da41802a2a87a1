"""A person's own profile, which holds for all of their organizations."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import person_names
from membership.models import Identity, Member
from membership.queries import Membership

NAMES = {"name", *person_names.PARTS}
FIELDS = {*NAMES, "email"}


class Person(NamedTuple):
    """A person and their memberships, locked."""

    identity: Identity
    memberships: list[Membership]


def is_own(member: Member, by: Actor) -> bool:
    """Whether the actor is this member, and not support that acts as them."""
    return not by.acting and member.identity_id == by.id


def lock_person(session: Session, identity_id: str) -> Person:
    """Locks organizations, members and identity in the same order as changes to members do."""
    memberships = queries.memberships(session, identity_id)
    for _, organization in sorted(memberships, key=lambda membership: membership.organization.id):
        session.refresh(organization, with_for_update={"read": True})
    for member, _ in memberships:
        session.refresh(member, with_for_update=True)
    identity = session.get_one(Identity, identity_id, with_for_update=True, populate_existing=True)
    return Person(identity, queries.memberships(session, identity_id))


def change_profile(
    session: Session, *, identity_id: str, fields: Mapping[str, str], now: datetime
) -> Identity:
    """Change the person's own name."""
    person = lock_person(session, identity_id)
    person_names.rename_person(
        session,
        identity=person.identity,
        memberships=person.memberships,
        fields=fields,
        now=now,
    )
    return person.identity


def rename(session: Session, *, member: Member, fields: Mapping[str, Any], now: datetime) -> None:
    """Change the own name of the person who changes their own membership."""
    chosen = {part: fields[part] for part in person_names.PARTS if part in fields}
    if "name" in fields and not chosen:
        chosen = {"given_name": fields["name"], "family_name": ""}
    if chosen and member.identity_id:
        change_profile(session, identity_id=member.identity_id, fields=chosen, now=now)
