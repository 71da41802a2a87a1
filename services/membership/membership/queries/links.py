"""The links in mails."""

from datetime import datetime
from typing import NamedTuple

from chassis import errors
from sqlalchemy import select
from sqlalchemy.orm import Session

from membership.models import Identity, MailedToken, Member, Organization
from membership.queries.locking import locked
from membership.queries.people import HERE
from membership.values import tokens


class NoSuchLink(errors.NotFound):
    """This link leads nowhere. Open the link in the mail again, or ask for a new mail."""

    code = "not_found"


class LinkSpent(errors.Gone):
    """This link was used, replaced by a newer one, or is too old. Ask for a new mail."""

    code = "link_spent"


class Link(NamedTuple):
    """A mailed link that can still be used, and whom it is about."""

    token: MailedToken
    identity: Identity
    member: Member | None
    organization: Organization | None


def link(session: Session, raw: str, purposes: tuple[str, ...], now: datetime, *, lock: str = "") -> Link:
    """What a mailed link is good for. Raises NoSuchLink or LinkSpent."""
    query = select(MailedToken).where(MailedToken.digest == tokens.digest(raw), MailedToken.purpose.in_(purposes))
    token = session.scalars(locked(query, lock)).one_or_none()
    if token is None:
        raise NoSuchLink()
    identity = session.get_one(Identity, token.identity_id)
    found = session.get(Member, token.member_id) if token.member_id else None
    left = found is not None and (found.status not in HERE or found.identity_id != identity.id)
    if token.used_at or token.superseded_at or token.expires_at <= now or left or identity.email != token.email:
        raise LinkSpent()
    return Link(token, identity, found, session.get(Organization, found.organization_id) if found else None)
