"""The PIN of an extension."""

from typing import NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from membership.models import Member, Organization


class KeptPin(NamedTuple):
    """What a PIN is checked against. ``pin_hash``: None where nobody has the extension."""

    is_open: bool
    pin_hash: str | None


def kept_pin(session: Session, organization_id: str, extension: str) -> KeptPin:
    """The PIN of the member with that extension, unless they are disabled. The query is the same
    whether or not anyone has the extension."""
    has_it = and_(
        Member.organization_id == Organization.id,
        Member.extension == extension,
        Member.status.in_(("pending", "active")),
    )
    query = select(Organization.state, Member.pin_hash).outerjoin(Member, has_it)
    state, pin_hash = session.execute(query.where(Organization.id == organization_id)).one()
    return KeptPin(state == "open", pin_hash)
