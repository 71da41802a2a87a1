"""How members get access: a login with a verified address, or an extension with a PIN."""

from datetime import datetime
from typing import Any

from chassis import errors
from chassis.auth.actor import Actor
from sqlalchemy import select
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import (
    attempts,
    email_changes,
    identities,
    invitations,
    logouts,
    mails,
    person_names,
)
from membership.models import Member, Organization
from membership.values import attempt_limits
from membership.values.authority import Authority

FIRST_EXTENSION, LAST_EXTENSION = 100, 999_999


class ExtensionTaken(errors.Conflict):
    code = "extension_taken"
    detail = "Another member has this extension. Choose another one."


class OwnerMustTransfer(errors.Conflict):
    code = "owner_must_transfer"
    detail = "This member is the owner. Transfer the ownership first."


def set_access(
    session: Session,
    organization: Organization,
    member: Member,
    fields: dict[str, Any],
    pin_hash: str | None,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> None:
    """Give the member a login, remove it, or move it to another address."""
    portal_access = fields.get("portal_access", member.portal_access)
    if not portal_access:
        _refuse_without_login(fields)
        if member.portal_access:
            _remove_login(session, member, pin_hash, now)
        return
    if not member.portal_access:
        for name in ("role", "email"):
            if not fields.get(name):
                raise errors.invalid(
                    f"/{name}", "required", "Portal access requires a role and an email address."
                )
        set_address(session, organization, member, fields["email"], authority, by, now)
    elif "email" in fields and member.verified:
        email_changes.request_change(
            session, organization, member, fields["email"], authority, by, now
        )
    elif fields.get("email", member.email) != member.email:
        _correct_address(session, organization, member, fields["email"], authority, by, now)


def _correct_address(
    session: Session,
    organization: Organization,
    member: Member,
    email: str,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> None:
    """Invite somebody who has never joined at another address instead, at once."""
    former = member.identity_id
    logouts.end_sessions(session, member_id=member.id, why="address_changed", now=now)
    set_address(session, organization, member, email, authority, by, now)
    identities.erase_if_unused(session, which=[former], now=now)


def _refuse_without_login(fields: dict[str, Any]) -> None:
    for name in ("role", "email"):
        if fields.get(name):
            raise errors.invalid(
                f"/{name}", "no_portal_access", "Only members with portal access have this."
            )


def set_address(
    session: Session,
    organization: Organization,
    member: Member,
    email: str,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> None:
    """Link the member to the person with that address, and have the address verified. The person
    behind the old address keeps their other memberships, so that nobody takes over a login by
    changing the address of a member."""
    identity = identities.find_or_create_identity(session, email=email, now=now)
    if queries.is_member(session, organization.id, identity.id):
        raise email_changes.MemberExists()
    member.identity_id, member.email, member.verified = identity.id, identity.email, False
    member.label = member.shown_name
    member.status = "pending" if member.status == "active" else member.status
    member.update_search()
    session.flush()
    if member.status == "pending":
        invitations.invite_again(
            session,
            organization=organization,
            member=member,
            authority=authority,
            by=by,
            now=now,
        )


def _remove_login(session: Session, member: Member, pin_hash: str | None, now: datetime) -> None:
    check_not_owner(member)
    logouts.end_sessions(session, member_id=member.id, why="login_taken", now=now)
    identity_id = member.identity_id
    member.identity_id = member.email = member.pending_email = None
    person_names.keep_label(member)
    member.verified, member.role = False, "member"
    member.status = "active" if member.status == "pending" else member.status
    member.extension = member.extension or choose_extension(
        session, member.organization_id, {}, needed=True
    )
    set_pin(session, member, pin_hash)
    invalidate_links(session, member, [identity_id], now)


def invalidate_links(
    session: Session, member: Member, identity_ids: list[str | None], now: datetime
) -> None:
    """Invalidate every link to the removed login, and erase the identities that were kept only for
    it."""
    mails.supersede_links(session, member_id=member.id, now=now)
    mails.supersede_undo_links(session, member_id=member.id, now=now)
    former = identities.former_identities(session, [member.id])
    identities.erase_if_unused(session, which=[*former, *identity_ids], now=now)


def set_pin(session: Session, member: Member, pin_hash: str | None) -> None:
    """Set a PIN and clear the failed attempts at this extension, including those of a previous
    holder."""
    member.pin_hash = pin_hash
    key = attempt_limits.pin_key(member.organization_id, member.extension or "")
    attempts.clear(session, key=key)


def check_not_owner(member: Member) -> None:
    """Raise OwnerMustTransfer for the owner."""
    if member.role == "owner":
        raise OwnerMustTransfer()


def choose_extension(
    session: Session, organization_id: str, fields: dict[str, Any], *, needed: bool
) -> str | None:
    """The requested extension, or the next free number where one is needed for a PIN. Raises
    ExtensionTaken."""
    wanted: str | None = fields.get("extension")
    if wanted is None and not needed:
        return None
    taken = set(
        session.scalars(
            select(Member.extension).where(
                Member.organization_id == organization_id,
                Member.status.in_(queries.CURRENT_STATUSES),
                Member.extension.is_not(None),
            )
        )
    )
    if wanted in taken:
        raise ExtensionTaken()
    if wanted:
        return wanted
    numbers = map(str, range(FIRST_EXTENSION, LAST_EXTENSION + 1))
    return next(number for number in numbers if number not in taken)
