"""The links in emails."""

from datetime import datetime
from typing import NamedTuple

from chassis import errors
from sqlalchemy import select
from sqlalchemy.orm import Session

from membership.models import Identity, Mail, MailedToken, Member, Organization
from membership.queries.locking import locked
from membership.queries.people import CURRENT_STATUSES
from membership.queries.transfers import may_stop_transfers, scheduled_transfer
from membership.values import tokens
from membership.values.authority import BY_PROVIDER
from membership.values.lifetimes import ADDRESS_LINKS, STOP_TRANSFER, UNDO


class NoSuchLink(errors.NotFound):
    code = "not_found"
    detail = "This link is not valid. Open the link in the email again, or request a new email."


class LinkSpent(errors.Gone):
    code = "link_spent"
    detail = (
        "This link has expired, was already used, or was replaced by a newer one. Request a new "
        "email."
    )


class InvitationSpent(LinkSpent):
    code = "link_spent"
    detail = (
        "This link has expired, was already used, or was replaced. If you have joined, sign in; "
        "otherwise POST to it with /renewal added."
    )


class UndoSpent(LinkSpent):
    code = "link_spent"
    detail = (
        "This link has expired or was already used, or there is nothing left to undo. Ask the "
        "owner to change the address."
    )


_SPENT: dict[str, type[LinkSpent]] = dict.fromkeys(ADDRESS_LINKS, InvitationSpent) | {
    UNDO: UndoSpent
}


class Link(NamedTuple):
    """A link that can still be used, and whom it is for."""

    token: MailedToken
    identity: Identity
    member: Member | None
    organization: Organization | None


def link(
    session: Session, raw: str, purposes: tuple[str, ...], now: datetime, *, lock: str = ""
) -> Link:
    """Raises NoSuchLink or LinkSpent."""
    token = mailed_token(session, raw, purposes, lock=lock)
    if token is None:
        raise NoSuchLink()
    identity = session.get_one(Identity, token.identity_id)
    member = session.get(Member, token.member_id) if token.member_id else None
    if not _is_usable(token, identity, member, now) or not _may_stop(session, token, member):
        raise _SPENT.get(token.purpose, LinkSpent)()
    organization = session.get(Organization, member.organization_id) if member else None
    return Link(token, identity, member, organization)


def _is_usable(
    token: MailedToken, identity: Identity, member: Member | None, now: datetime
) -> bool:
    if token.used_at or token.superseded_at or token.expires_at <= now:
        return False
    if identity.email != token.email:
        return False
    if member is None:
        return True
    if member.status not in CURRENT_STATUSES:
        return False
    # An undo link is for the former identity of the member, every other link for the current one.
    is_current_identity = member.identity_id == identity.id
    return is_current_identity is not (token.purpose == UNDO)


def _may_stop(session: Session, token: MailedToken, member: Member | None) -> bool:
    """Whether a link that stops a transfer still has one to stop, for this member."""
    if token.purpose != STOP_TRANSFER:
        return True
    return (
        member is not None
        and scheduled_transfer(session, member.organization_id) is not None
        and member in may_stop_transfers(session, member.organization_id)
    )


def mailed_token(
    session: Session, raw: str, purposes: tuple[str, ...], *, lock: str = ""
) -> MailedToken | None:
    """The token of a link, valid or not; None if it is unknown."""
    query = select(MailedToken).where(
        MailedToken.digest == tokens.digest(raw), MailedToken.purpose.in_(purposes)
    )
    return session.scalars(locked(query, lock)).one_or_none()


class Former(NamedTuple):
    """What a member was before their address changed: the role of their tokens, and who had
    admitted them."""

    role: str
    admitted_by: str


def before_change(session: Session, undo: MailedToken) -> Former:
    """What the member was before the address change that this link undoes."""
    sent = (Mail.email == undo.email, Mail.purpose == UNDO, Mail.created_at == undo.created_at)
    mail = session.scalars(select(Mail).where(*sent, Mail.member_id == undo.member_id)).one()
    details = mail.details or {}
    return Former(str(details["role"]), str(details.get("admitted_by", BY_PROVIDER)))
