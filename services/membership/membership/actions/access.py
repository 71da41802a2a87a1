"""A member's way in: a login with a proved address, or a PIN found by an extension."""

from datetime import datetime
from typing import Any

from chassis import errors
from chassis.auth.actor import Actor
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, identities, invitations, mails, sessions
from membership.models import Member, Organization
from membership.values import pins, roles
from membership.values.lifetimes import INVITATION, VERIFICATION

FIRST_EXTENSION = 100


class MemberExists(errors.Conflict):
    code = "member_exists"
    detail = (
        "A member with this email address already exists. Look for them in the list of members."
    )


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
    by: Actor,
    now: datetime,
) -> None:
    """Give a login, take it, or move it to another address."""
    wanted = fields.get("portal_access", member.portal_access)
    if not wanted:
        _refuse_without_login(fields)
        if member.portal_access:
            _take_login(session, member, fields, pin_hash, now)
        return
    if not member.portal_access:
        for name in ("role", "email"):
            if not fields.get(name):
                raise errors.invalid(
                    f"/{name}", "required", "Portal access needs a role and an e-mail address."
                )
        give_address(session, organization, member, fields["email"], INVITATION, by, now)
    elif fields.get("email", member.email) != member.email:
        _move_login(session, organization, member, fields["email"], by, now)


def _move_login(
    session: Session,
    organization: Organization,
    member: Member,
    email: str,
    by: Actor,
    now: datetime,
) -> None:
    """Whoever had proved the address until now is told there, and can take the login back."""
    former, before, proved = member.identity_id, member.email, member.verified
    sessions.end_sessions(session, member_id=member.id, why="address_changed", now=now)
    give_address(
        session, organization, member, email, VERIFICATION if proved else INVITATION, by, now
    )
    if proved and before:
        role = roles.in_token(organization.kind, member.role, member.preset)
        mails.queue_undo(session, member=member, email=before, role=role, now=now)
    identities.erase_if_alone(session, which=[former], now=now)


def _refuse_without_login(fields: dict[str, Any]) -> None:
    for name in ("role", "email"):
        if fields.get(name):
            raise errors.invalid(
                f"/{name}", "no_portal_access", "Only somebody with portal access has this."
            )


def give_address(
    session: Session,
    organization: Organization,
    member: Member,
    email: str,
    purpose: str,
    by: Actor,
    now: datetime,
) -> None:
    """Link the member to whoever has that address, and have it proved. The person behind the old
    address keeps their other memberships, so that nobody takes over a login by changing the address
    of a member."""
    identity = identities.find_or_create_identity(
        session,
        email=email,
        given_name=member.given_name or member.name,
        family_name=member.family_name or "",
        now=now,
    )
    if is_member(session, organization.id, identity.id):
        raise MemberExists()
    member.identity_id, member.email, member.verified = identity.id, identity.email, False
    member.status = "pending" if member.status == "active" else member.status
    member.refold()
    session.flush()
    if member.status == "pending":
        invitations.check_often(session, member=member, by=by, now=now)
        invitations.invite(
            session, organization=organization, member=member, purpose=purpose, by=by, now=now
        )


def is_member(session: Session, organization_id: str, identity_id: str) -> bool:
    """Whether this person is a member there."""
    here = (Member.organization_id == organization_id, Member.status.in_(queries.HERE))
    return session.scalar(select(exists().where(Member.identity_id == identity_id, *here))) is True


def _take_login(
    session: Session, member: Member, fields: dict[str, Any], pin_hash: str | None, now: datetime
) -> None:
    check_not_owner(member)
    sessions.end_sessions(session, member_id=member.id, why="login_taken", now=now)
    identity_id, member.identity_id, member.email = member.identity_id, None, None
    member.verified, member.role = False, "member"
    member.status = "active" if member.status == "pending" else member.status
    member.extension = member.extension or free_extension(session, member.organization_id, {}, True)
    set_pin(session, member, pin_hash)
    forget_links(session, member, [identity_id], now)


def forget_links(
    session: Session, member: Member, further: list[str | None], now: datetime
) -> None:
    """The member's login is gone: links to it lead nowhere, and who had it before is kept for
    nothing."""
    mails.supersede_links(session, member_id=member.id, now=now)
    mails.supersede_undos(session, member_id=member.id, now=now)
    former = identities.former_of(session, [member.id])
    identities.erase_if_alone(session, which=[*former, *further], now=now)


def set_pin(session: Session, member: Member, pin_hash: str | None) -> None:
    """Give a PIN; what was guessed at this extension before, whoever had it, counts no more."""
    member.pin_hash = pin_hash
    attempts.forget(session, key=pins.guesses_key(member.organization_id, member.extension or ""))


def check_not_owner(member: Member) -> None:
    """Raise OwnerMustTransfer for the owner."""
    if member.role == "owner":
        raise OwnerMustTransfer()


def free_extension(
    session: Session, organization_id: str, fields: dict[str, Any], needed: bool
) -> str | None:
    """The wanted extension, or the next free number for somebody whose PIN is found by it."""
    wanted: str | None = fields.get("extension")
    if wanted is None and not needed:
        return None
    taken = set(
        session.scalars(
            select(Member.extension).where(
                Member.organization_id == organization_id,
                Member.status.in_(queries.HERE),
                Member.extension.is_not(None),
            )
        )
    )
    if wanted in taken:
        raise ExtensionTaken()
    return wanted or next(str(n) for n in range(FIRST_EXTENSION, 10**6) if str(n) not in taken)
