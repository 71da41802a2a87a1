"""What the links in mails do."""

from datetime import datetime

from chassis import errors
from chassis.runtime import ids
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import access, audit_log, identities, mails, member_events, sessions
from membership.models import Identity, Organization
from membership.queries import Link, Place
from membership.values import roles
from membership.values.lifetimes import PROOFS, RESET, UNDO

LINKS = (*PROOFS, UNDO)
RESETS = (RESET,)


class ClosedForNow(errors.Conflict):
    code = "organization_suspended"
    detail = (
        "This organization is suspended. Your link stays valid: open it again once the "
        "organization is active."
    )


class ClosedToThem(errors.Conflict):
    code = "member_disabled"
    detail = (
        "Your access is disabled. Your link stays valid: ask the owner or an admin to enable your "
        "access first."
    )


class RoleRaised(errors.Conflict):
    code = "role_raised"
    detail = (
        "This member can do more now than before the address was changed. Ask the owner to change "
        "it back."
    )


class SignedInAsAnother(errors.Conflict):
    code = "signed_in_as_another"
    detail = (
        "This link was sent to someone other than the person signed in. Sign out, then open the "
        "link again."
    )


def verify_member(
    session: Session, *, raw: str, password_hash: str | None, visitor: str | None, now: datetime
) -> Link:
    """Use a link that proves an address: the member is verified and active, the password set where
    one was chosen. Or one that takes a login back to the address it had. ``visitor``: the identity
    that is signed in where it is opened.

    Raises NoSuchLink, LinkSpent, ClosedForNow, SignedInAsAnother; Invalid where a password is
    missing or too much; MemberExists, ClosedToThem and RoleRaised of an undo."""
    link = _take(session, raw, LINKS, now)
    _check_visitor(session, link, visitor)
    if link.member is None or link.organization is None:
        raise queries.LinkSpent()
    use = _undo_change if link.token.purpose == UNDO else _prove
    use(session, link, Place(link.member, link.organization), password_hash, now)
    return link


def _prove(
    session: Session, link: Link, place: Place, password_hash: str | None, now: datetime
) -> None:
    (member, organization), identity = place, link.identity
    if password_hash is None and identity.password_hash is None:
        raise errors.invalid("/password", "required", "Choose a password.")
    identities.forget_failures(session, email=link.token.email)
    if password_hash is not None:
        identities.set_password(session, identity=identity, password_hash=password_hash, now=now)
    identity.email_verified_at = identity.email_verified_at or now
    member.verified = True
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


def _undo_change(
    session: Session, link: Link, place: Place, password_hash: str | None, now: datetime
) -> None:
    """Take the login back to the person and the address that had it, and out of the hands of
    whoever has it now; neither a disabled member comes in by that nor a role that was given to
    their successor."""
    (member, organization), former = place, link.identity
    if password_hash is not None:
        raise errors.invalid(
            "/password", "not_needed", "Choose another password after this, by a reset."
        )
    if member.status == "disabled":
        raise ClosedToThem()
    if access.is_member(session, organization.id, former.id):
        raise access.MemberExists()
    role = roles.in_token(organization.kind, member.role, member.preset)
    then = queries.role_then(session, link.token)
    if not set(roles.scopes(organization.kind, role)) <= set(roles.scopes(organization.kind, then)):
        raise RoleRaised()
    ousted, before = member.identity_id, member.email
    sessions.end_sessions(session, member_id=member.id, why="address_changed", now=now)
    mails.supersede_links(session, member_id=member.id, now=now)
    mails.supersede_undos(session, member_id=member.id, since=link.token.created_at, now=now)
    member.identity_id, member.email, member.verified, member.status = (
        former.id,
        former.email,
        True,
        "active",
    )
    member.refold()
    identities.erase_if_alone(session, which=[ousted], now=now)
    member_events.publish_members_changed(session, organization.id)
    audit_log.record(
        session,
        "email.change_undone",
        organization=organization,
        member=member,
        now=now,
        by=audit_log.member_actor(member, organization),
        changes=[{"field": "email", "before": before, "after": former.email}],
    )


def reset_password(session: Session, *, raw: str, password_hash: str, now: datetime) -> Link:
    """Use a link that resets a password; every session of the person ends. Raises NoSuchLink,
    LinkSpent."""
    link = _take(session, raw, RESETS, now)
    identities.forget_failures(session, email=link.token.email)
    identities.set_password(session, identity=link.identity, password_hash=password_hash, now=now)
    places = queries.places(session, link.identity.id)
    if places:
        member, organization = places[0]
        audit_log.record(
            session,
            "password.reset",
            organization=organization,
            member=member,
            now=now,
            by=audit_log.member_actor(member, organization),
        )
    return link


def _take(session: Session, raw: str, purposes: tuple[str, ...], now: datetime) -> Link:
    """The link, used, and whom it is about, locked in the order in which changes of members lock
    them."""
    seen = queries.link(session, raw, purposes, now)
    if seen.member is not None:
        _check_open(queries.organization(session, seen.member.organization_id, lock="use"))
        session.refresh(seen.member, with_for_update=True)
    session.refresh(seen.identity, with_for_update=True)
    link = queries.link(session, raw, purposes, now, lock="change")
    link.token.used_at = now
    return link


def _check_visitor(session: Session, link: Link, visitor: str | None) -> None:
    """Whoever is signed in as somebody else would join as the wrong person without noticing."""
    other = session.get(Identity, visitor) if ids.is_id("idn", visitor or "") else None
    if other is not None and other.email is not None and other.id != link.identity.id:
        raise SignedInAsAnother(
            f"You are signed in as {other.email}, but this link was sent to {link.token.email}. Sign out first, or "
            "open the link in another browser; it stays good."
        )


def _check_open(organization: Organization) -> None:
    if organization.state == "suspended":
        raise ClosedForNow()
    if organization.state not in ("provisioning", "open"):
        raise queries.LinkSpent()
