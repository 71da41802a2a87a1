"""What the links in mails do."""

from datetime import datetime

from chassis import errors
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import identities, telling
from membership.models import Organization
from membership.queries import Link
from membership.values.lifetimes import INVITATION, RESET, VERIFICATION

PROOFS = (INVITATION, VERIFICATION)
RESETS = (RESET,)


class ClosedForNow(errors.Conflict):
    """This organization is suspended. The link stays good; open it again once the organization is active."""

    code = "organization_suspended"


def verify_member(session: Session, *, raw: str, password_hash: str | None, now: datetime) -> Link:
    """Use a link that proves an address: the member is verified and active, the password set where one was chosen.

    Raises NoSuchLink, LinkSpent, ClosedForNow, and Invalid where there is none yet."""
    link = _take(session, raw, PROOFS, now)
    if link.member is None or link.organization is None:
        raise queries.LinkSpent()
    identities.forget_failures(session, email=link.token.email)
    organization = _check_open(queries.organization(session, link.organization.id, lock="use"))
    member = queries.member(session, organization.id, link.member.id, lock="change")
    identity = link.identity
    session.refresh(identity, with_for_update=True)
    if password_hash is None and identity.password_hash is None:
        raise errors.invalid("/password", "required", "Choose a password.")
    if password_hash is not None:
        identities.set_password(session, identity=identity, password_hash=password_hash, now=now)
    identity.email_verified_at = identity.email_verified_at or now
    member.verified = True
    if member.status == "pending":
        member.status = "active"
    telling.say_members_changed(session, organization.id)
    telling.record(
        session, "email.verified", organization=organization, member=member, now=now,
        by=telling.as_actor(member, organization),
    )
    return link


def reset_password(session: Session, *, raw: str, password_hash: str, now: datetime) -> Link:
    """Use a link that resets a password; every session of the person ends. Raises NoSuchLink, LinkSpent."""
    link = _take(session, raw, RESETS, now)
    identities.forget_failures(session, email=link.token.email)
    session.refresh(link.identity, with_for_update=True)
    identities.set_password(session, identity=link.identity, password_hash=password_hash, now=now)
    places = queries.places(session, link.identity.id)
    if places:
        member, organization = places[0]
        telling.record(
            session, "password.reset", organization=organization, member=member, now=now,
            by=telling.as_actor(member, organization),
        )
    return link


def _take(session: Session, raw: str, purposes: tuple[str, ...], now: datetime) -> Link:
    link = queries.link(session, raw, purposes, now, lock="change")
    link.token.used_at = now
    return link


def _check_open(organization: Organization) -> Organization:
    if organization.state == "suspended":
        raise ClosedForNow()
    if organization.state not in ("provisioning", "open"):
        raise queries.LinkSpent()
    return organization
