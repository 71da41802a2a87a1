"""The links in mails."""

from datetime import datetime
from typing import NamedTuple

from chassis import errors
from sqlalchemy import select
from sqlalchemy.orm import Session

from membership.models import Identity, Mail, MailedToken, Member, Organization
from membership.queries.locking import locked
from membership.queries.people import HERE
from membership.values import tokens
from membership.values.lifetimes import PROOFS, UNDO


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


_SPENT: dict[str, type[LinkSpent]] = dict.fromkeys(PROOFS, InvitationSpent) | {UNDO: UndoSpent}


class Link(NamedTuple):
    """A mailed link that can still be used, and whom it is about."""

    token: MailedToken
    identity: Identity
    member: Member | None
    organization: Organization | None


def link(
    session: Session, raw: str, purposes: tuple[str, ...], now: datetime, *, lock: str = ""
) -> Link:
    """What a mailed link is good for. Raises NoSuchLink or LinkSpent."""
    token = mailed_token(session, raw, purposes, lock=lock)
    if token is None:
        raise NoSuchLink()
    identity = session.get_one(Identity, token.identity_id)
    found = session.get(Member, token.member_id) if token.member_id else None
    idle = found is not None and (
        found.status not in HERE or (found.identity_id == identity.id) is (token.purpose == UNDO)
    )
    if (
        token.used_at
        or token.superseded_at
        or token.expires_at <= now
        or idle
        or identity.email != token.email
    ):
        raise _SPENT.get(token.purpose, LinkSpent)()
    return Link(
        token, identity, found, session.get(Organization, found.organization_id) if found else None
    )


def mailed_token(
    session: Session, raw: str, purposes: tuple[str, ...], *, lock: str = ""
) -> MailedToken | None:
    """The token of a mailed link, good or dead; None for what is none of ours."""
    query = select(MailedToken).where(
        MailedToken.digest == tokens.digest(raw), MailedToken.purpose.in_(purposes)
    )
    return session.scalars(locked(query, lock)).one_or_none()


def role_then(session: Session, undo: MailedToken) -> str:
    """The role that tokens named before the change which this link undoes."""
    told = (Mail.email == undo.email, Mail.purpose == UNDO, Mail.created_at == undo.created_at)
    mail = session.scalars(select(Mail).where(*told, Mail.member_id == undo.member_id)).one()
    return str((mail.figures or {})["role"])
