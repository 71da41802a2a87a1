"""What the links in emails do: verify an address, undo an address change, reset a password or the
one-time codes."""

from collections.abc import Mapping
from datetime import datetime

from chassis import errors
from chassis.runtime import ids
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import (
    attempts,
    audit_log,
    email_changes,
    identities,
    logins,
    lost_owners,
    mails,
    member_events,
    own_emails,
    person_names,
    recovery,
)
from membership.models import Identity, Organization
from membership.queries import Link, Membership
from membership.values.lifetimes import (
    ADDRESS_LINKS,
    RESET,
    RESET_CODES,
    STOP_TRANSFER,
    UNDO,
    VERIFICATION,
)
from membership.values.mails import CODES_OFF

VERIFICATION_LINKS = (*ADDRESS_LINKS, UNDO, STOP_TRANSFER)
RESET_LINKS = (RESET,)
CODES_LINKS = (RESET_CODES,)


class LinkOrganizationSuspended(errors.Conflict):
    code = "organization_suspended"
    detail = (
        "This organization is suspended. Your link stays valid: open it again once the "
        "organization is active."
    )


class SignedInAsAnother(errors.Conflict):
    code = "signed_in_as_another"
    detail = (
        "This link was sent to someone other than the person signed in. Sign out, then open the "
        "link again."
    )


class PasswordNotExpected(errors.Invalid):
    code = "password_not_expected"
    detail = (
        "This link sets no password: the person has one, or needs none for it. Send {} to use the "
        "link, and reset the password if it is lost."
    )


class WrongPassword(logins.InvalidCredentials):
    code = "invalid_credentials"
    detail = "The password is wrong. Check it, then try again. The link stays valid."


def check_password_expected(link: Link) -> None:
    """Raise PasswordNotExpected unless the link lets a person without a password choose one: no
    link but that of a reset changes a password."""
    if not link.needs_password:
        problem = {"pointer": "/password", "code": PasswordNotExpected.code}
        raise PasswordNotExpected(errors=[problem | {"detail": PasswordNotExpected.detail}])


def verify_member(
    session: Session,
    *,
    raw: str,
    password_hash: str | None,
    chosen: Mapping[str, str],
    signed_in_as: str | None,
    now: datetime,
) -> Link:
    """Use a link that verifies an address: the member becomes verified and active, or their new
    address takes effect, and a person who has no password yet gets this one. Or use a link that
    undoes a change of address, or that stops a transfer of ownership.

    ``chosen``: the name of a person who joins for the first time. ``signed_in_as``: the identity
    signed in where the link is opened. Raises NoSuchLink, LinkSpent, LinkOrganizationSuspended,
    SignedInAsAnother, PasswordNotExpected; Invalid where a password is missing; for a change of
    address MemberExists, RoleRaised, and LinkMemberDisabled where it is undone."""
    link = _take(session, raw, VERIFICATION_LINKS, now)
    _check_signed_in(session, link, signed_in_as)
    if password_hash is not None:
        check_password_expected(link)
    if link.member is None or link.organization is None:
        change_own = own_emails.undo if link.token.purpose == UNDO else own_emails.complete
        change_own(session, link, now)
        return link
    membership = Membership(link.member, link.organization)
    if link.token.purpose == UNDO:
        if link.identity.email != link.token.email:  # the person's own address was changed since
            own_emails.undo(session, link, now)
        email_changes.undo(session, link, membership, now)
    elif link.token.purpose == STOP_TRANSFER:
        lost_owners.stop_by_link(session, membership, now)
    elif link.token.purpose == VERIFICATION:
        email_changes.complete(session, link, membership, password_hash, chosen, now)
    else:
        _verify(session, link, membership, password_hash, chosen, now)
    return link


def _verify(
    session: Session,
    link: Link,
    membership: Membership,
    password_hash: str | None,
    chosen: Mapping[str, str],
    now: datetime,
) -> None:
    (member, organization), identity = membership, link.identity
    identities.accept(
        session,
        identity=identity,
        member=member,
        password_hash=password_hash,
        chosen=chosen,
        now=now,
    )
    member.verified = True
    person_names.show_own(member, identity)
    if member.status == "pending":
        member.status = "active"
    member_events.publish_members_changed(session, organization.id)
    audit_log.record(
        session,
        "email.verified",
        organization=organization,
        member=member,
        now=now,
        by=audit_log.member_actor(member, organization),
    )


def reset_password(session: Session, *, raw: str, password_hash: str, now: datetime) -> Link:
    """Use a link to reset the password; every session of the person ends. Raises NoSuchLink,
    LinkSpent."""
    link = _take(session, raw, RESET_LINKS, now)
    attempts.clear_password_failures(session, email=link.token.email)
    identities.set_password(session, identity=link.identity, password_hash=password_hash, now=now)
    memberships = queries.memberships(session, link.identity.id)
    if memberships:
        member, organization = memberships[0]
        audit_log.record(
            session,
            "password.reset",
            organization=organization,
            member=member,
            now=now,
            by=audit_log.member_actor(member, organization),
        )
    return link


def reset_codes(
    session: Session, *, raw: str, attempt: logins.LoginAttempt, unknown_hash: str, now: datetime
) -> Link | errors.Failure:
    """Use a link to turn off one's one-time codes, with the password; every session of the person
    ends, and they are notified by email. A wrong password is counted and returned, not raised.

    ``unknown_hash``: as in ``recovery.turn_off``. Raises NoSuchLink, LinkSpent,
    LinkOrganizationSuspended, TooManyAttempts."""
    failure = logins.check_password_alone(session, attempt=attempt, now=now)
    if failure is not None:
        is_wrong = isinstance(failure, logins.InvalidCredentials)
        return WrongPassword() if is_wrong else failure
    link = _take(session, raw, CODES_LINKS, now)
    if link.identity.password_hash != attempt.login.password_hash or link.organization is None:
        raise WrongPassword()
    recovery.turn_off(session, identity=link.identity, unknown_hash=unknown_hash, by=None, now=now)
    mails.queue_notice(
        session,
        purpose=CODES_OFF,
        organization=link.organization,
        email=link.token.email,
        now=now,
    )
    return link


def _take(session: Session, raw: str, purposes: tuple[str, ...], now: datetime) -> Link:
    """Use the link. Locks its organization, member and identity in the same order as changes to
    members do."""
    unlocked = queries.link(session, raw, purposes, now)
    purpose, member = unlocked.token.purpose, unlocked.member
    if purpose == UNDO or (member is None and purpose != RESET):
        own_emails.lock_person(session, unlocked.identity.id, also=member)
    elif member is not None:
        queries.organization(session, member.organization_id, lock="use")
        session.refresh(member, with_for_update=True)
    if unlocked.organization is not None:
        _check_open(unlocked.organization)
    session.refresh(unlocked.identity, with_for_update=True)
    link = queries.link(session, raw, purposes, now, lock="change")
    link.token.used_at = now
    return link


def _check_signed_in(session: Session, link: Link, signed_in_as: str | None) -> None:
    """Raise SignedInAsAnother: the person would join under the wrong identity unnoticed."""
    if not ids.is_id("idn", signed_in_as or ""):
        return
    other = session.get(Identity, signed_in_as)
    if other is not None and other.email is not None and other not in (link.identity, link.holder):
        raise SignedInAsAnother(
            f"You are signed in as {other.email}, but this link was sent to {link.token.email}. "
            "Sign out first, or open the link in another browser. The link stays valid."
        )


def _check_open(organization: Organization) -> None:
    if organization.state == "suspended":
        raise LinkOrganizationSuspended()
    if organization.state not in ("provisioning", "open"):
        raise queries.LinkSpent()
