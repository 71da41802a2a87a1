"""The links in emails."""

from datetime import datetime
from typing import NamedTuple

from chassis import errors
from sqlalchemy import select
from sqlalchemy.orm import Session

from membership.models import Identity, MailedToken, Member, Organization
from membership.queries.address_changes import change_of, may_still_change
from membership.queries.locking import locked
from membership.queries.one_time_codes import has_one_time_codes
from membership.queries.people import CURRENT_STATUSES, identity_by_email
from membership.queries.transfers import may_stop_transfers, scheduled_transfer
from membership.values import tokens
from membership.values.lifetimes import (
    INVITATION,
    RESET,
    RESET_CODES,
    STOP_TRANSFER,
    UNDO,
    VERIFICATION,
)


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


class CodesLinkSpent(LinkSpent):
    code = "link_spent"
    detail = (
        "This link has expired or was already used, or your password or your one-time codes have "
        "changed since. Ask the owner or an admin of your organization for a new one."
    )


_SPENT: dict[str, type[LinkSpent]] = {
    INVITATION: InvitationSpent,
    UNDO: UndoSpent,
    RESET_CODES: CodesLinkSpent,
}


class Link(NamedTuple):
    """A link that can still be used, and whom it is for. ``holder``: who has the address that it
    was sent to; a new address may have nobody yet."""

    token: MailedToken
    identity: Identity
    member: Member | None
    organization: Organization | None
    holder: Identity | None

    @property
    def needs_password(self) -> bool:
        """Whether the person chooses a password with it."""
        if self.token.purpose == RESET:
            return True
        joins = self.token.purpose in (INVITATION, VERIFICATION) and self.member is not None
        return joins and (self.holder is None or self.holder.password_hash is None)


def link(
    session: Session, raw: str, purposes: tuple[str, ...], now: datetime, *, lock: str = ""
) -> Link:
    """Raises NoSuchLink or LinkSpent."""
    token = mailed_token(session, raw, purposes, lock=lock)
    if token is None:
        raise NoSuchLink()
    identity = session.get_one(Identity, token.identity_id)
    member = session.get(Member, token.member_id) if token.member_id else None
    if not _is_usable(token, identity, member, now) or not _has_use(session, token, member, now):
        raise _SPENT.get(token.purpose, LinkSpent)()
    organization = session.get(Organization, member.organization_id) if member else None
    is_new_address = token.purpose == VERIFICATION
    holder = identity_by_email(session, token.email) if is_new_address else identity
    return Link(token, identity, member, organization, holder)


def _is_usable(
    token: MailedToken, identity: Identity, member: Member | None, now: datetime
) -> bool:
    if token.used_at or token.superseded_at or token.expires_at <= now:
        return False
    if member is None:
        return _is_usable_by_person(token, identity)
    return member.status in CURRENT_STATUSES and _is_usable_by_member(token, identity, member)


def _is_usable_by_member(token: MailedToken, identity: Identity, member: Member) -> bool:
    is_current, is_moved = member.identity_id == identity.id, identity.email != token.email
    if token.purpose == VERIFICATION:
        return is_current and member.pending_email == token.email
    if token.purpose == UNDO:  # as long as anything of it is to be undone, however often it changed
        is_changed = not is_current or member.pending_email is not None or is_moved
        return identity.status == "active" and is_changed
    return is_current and not is_moved


def _is_usable_by_person(token: MailedToken, identity: Identity) -> bool:
    """Whether a link that concerns no single membership can be used."""
    if token.purpose == VERIFICATION:
        return identity.pending_email == token.email
    if token.purpose == UNDO:
        is_changed = identity.pending_email is not None or identity.email != token.email
        return identity.status == "active" and is_changed
    return identity.email == token.email


def _has_use(session: Session, token: MailedToken, member: Member | None, now: datetime) -> bool:
    if token.purpose == VERIFICATION and member is not None:
        return may_still_change(session, member, change_of(session, token).made_by, now=now)
    return _may_stop(session, token, member) and _has_codes_to_reset(session, token, member)


def _may_stop(session: Session, token: MailedToken, member: Member | None) -> bool:
    """Whether a link that stops a transfer still has one to stop, for this member."""
    if token.purpose != STOP_TRANSFER:
        return True
    return (
        member is not None
        and scheduled_transfer(session, member.organization_id) is not None
        and member in may_stop_transfers(session, member.organization_id)
    )


def _has_codes_to_reset(session: Session, token: MailedToken, member: Member | None) -> bool:
    """Whether a link that turns off one-time codes still has some to turn off, at the request of an
    organization where the person is active."""
    if token.purpose != RESET_CODES:
        return True
    is_active = member is not None and member.status == "active"
    return is_active and has_one_time_codes(session, token.identity_id)


def mailed_token(
    session: Session, raw: str, purposes: tuple[str, ...], *, lock: str = ""
) -> MailedToken | None:
    """The token of a link, valid or not; None if it is unknown."""
    query = select(MailedToken).where(
        MailedToken.digest == tokens.digest(raw), MailedToken.purpose.in_(purposes)
    )
    return session.scalars(locked(query, lock)).one_or_none()
