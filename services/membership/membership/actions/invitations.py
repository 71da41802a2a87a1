"""Invitations: links by which members verify their address and join."""

from collections.abc import Iterator
from datetime import datetime

from chassis.auth.actor import SYSTEM, Actor
from chassis.runtime import ids
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts, audit_log, mails
from membership.actions.mails import TooManyMails
from membership.models import Mail, Member, Organization
from membership.values import attempt_limits
from membership.values.attempt_limits import Limit
from membership.values.authority import Authority
from membership.values.lifetimes import ADDRESS_LINKS
from membership.values.mails import RENEWAL_REQUESTED


class MailedJustNow(TooManyMails):
    code = "too_many_mails"
    detail = "A link was just sent to this member. Wait a minute before you send another one."


class EnoughForMember(TooManyMails):
    code = "too_many_mails"
    detail = (
        "This member received six links within a day. Ask them to look for the last email, or send "
        "another one later."
    )


class EnoughForAddress(TooManyMails):
    code = "too_many_mails"
    detail = (
        "This organization has sent ten links to this address within a day. Ask its owner to look "
        "for the last email, or send another one later."
    )


class EnoughForAddressByProvider(TooManyMails):
    code = "too_many_mails"
    detail = (
        "A provider and its customers have sent a hundred links to this address within a day. Ask "
        "its owner to look for the last email, or send another one later."
    )


class EnoughByOrganization(TooManyMails):
    code = "too_many_mails"
    detail = "This organization has sent 200 invitations within a day. Try again later."


class EnoughByProvider(TooManyMails):
    code = "too_many_mails"
    detail = (
        "Your team and its API keys have sent as many invitations within an hour as the provider's "
        "settings allow. Try again later, or ask the owner to raise invitations_per_hour."
    )


def invite(
    session: Session,
    *,
    organization: Organization,
    member: Member,
    by: Actor,
    now: datetime,
    at: datetime | None = None,
    details: dict[str, str] | None = None,
) -> None:
    """Email a link by which the member verifies their address; the previous one stops working.
    ``at``: when it is sent at the earliest, if not now; ``details``: what to know if that
    changes."""
    member.invited_at, member.invited_by = now, None if by == SYSTEM else by.id
    mails.queue_invitation(session, member=member, now=now, at=at or now, details=details)
    audit_log.record(
        session, "invitation.sent", organization=organization, member=member, by=by, now=now
    )


def invite_again(
    session: Session,
    *,
    organization: Organization,
    member: Member,
    authority: Authority,
    by: Actor,
    now: datetime,
) -> None:
    """Email another link, if the limits allow it. Raises TooManyMails."""
    count_link(
        session,
        organization=organization,
        member=member,
        email=member.email,
        authority=authority,
        now=now,
    )
    invite(session, organization=organization, member=member, by=by, now=now)


def check_pause(member: Member, now: datetime) -> None:
    """Raise MailedJustNow if the last link was requested less than a minute ago."""
    if member.invited_at is None:
        return
    seconds = attempt_limits.seconds_until(member.invited_at + attempt_limits.LINK_PAUSE, now)
    if seconds:
        raise MailedJustNow(retry_after=seconds)


def count_link(
    session: Session,
    *,
    organization: Organization,
    member: Member,
    email: str | None,
    authority: Authority,
    now: datetime,
) -> None:
    """Count a link to this address. Raises the TooManyMails error that fits if too many were sent
    to this member, or by the inviting organization: in all, or to this address.

    Staff invite for the provider, into whichever of its customers. What one organization sends
    leaves the limits of the others alone; only all of a provider's together are limited for an
    address, so that nobody is flooded. Links to people who were removed count, too."""
    for refusal, key, limit in _limits(session, organization, member, email, authority):
        at = attempts.reserve(session, key=key, limit=limit, now=now)
        if at > now:
            raise refusal(retry_after=attempt_limits.seconds_until(at, now))


def _limits(
    session: Session,
    organization: Organization,
    member: Member,
    email: str | None,
    authority: Authority,
) -> Iterator[tuple[type[TooManyMails], str, Limit]]:
    """What a link counts towards, always in this order, because each counter is locked."""
    provider_id = organization.provider_id
    yield EnoughForMember, f"links {member.id}", attempt_limits.LINKS_TO_MEMBER
    if authority.of_provider or organization.id == provider_id:
        yield EnoughByProvider, f"invitations {provider_id}", hourly(session, provider_id)
    else:
        limit = attempt_limits.INVITATIONS_BY_ORGANIZATION
        yield EnoughByOrganization, f"invitations {organization.id}", limit
        key = address_key(organization.id, email)
        yield EnoughForAddress, key, attempt_limits.LINKS_TO_ADDRESS
    key = address_key(provider_id, email)
    yield EnoughForAddressByProvider, key, attempt_limits.PROVIDERS_LINKS_TO_ADDRESS


def hourly(session: Session, provider_id: str) -> Limit:
    """How many invitations the provider allows, for its staff and for owners of new customers."""
    return Limit(queries.invitations_per_hour(session, provider_id), attempt_limits.HOUR)


def address_key(organization_id: str, email: str | None) -> str:
    """What links from an organization, or a provider and its customers, to an address count as."""
    return f"links {queries.failures_key(email or '', organization_id.encode()).hex()}"


def ask_for_renewal(session: Session, *, raw: str, now: datetime) -> None:
    """Tell the inviter that the holder of an invalid link would like a new one.

    At most once a day, and only while the member has no valid link. Otherwise nothing happens."""
    token = queries.mailed_token(session, raw, ADDRESS_LINKS)
    if token is None or token.member_id is None:
        return
    member = session.get_one(Member, token.member_id)
    organization = queries.organization(session, member.organization_id, lock="use")
    if organization.state not in ("provisioning", "open", "suspended"):
        return
    session.refresh(member, with_for_update=True)
    if member.identity_id != token.identity_id or not _may_ask_for_renewal(session, member, now):
        return
    inviter = _inviter(session, organization, member)
    if inviter is not None and inviter.email is not None:
        mails.queue_notice(
            session,
            purpose=RENEWAL_REQUESTED,
            organization=organization,
            email=inviter.email,
            now=now,
            member_id=member.id,
            other=member.name,
            address=member.email,
        )
        audit_log.record(
            session,
            "invitation.renewal_asked",
            organization=organization,
            member=member,
            now=now,
            by=audit_log.member_actor(member, organization),
        )


def _may_ask_for_renewal(session: Session, member: Member, now: datetime) -> bool:
    invitation = queries.invitation(session, member, now)
    if invitation is None or not invitation.expired:
        return False
    requests = (Mail.member_id == member.id, Mail.purpose == RENEWAL_REQUESTED)
    limit = attempt_limits.RENEWAL_REQUESTS
    return not queries.seconds_until_allowed(session, Mail.created_at, limit, *requests, now=now)


def _inviter(session: Session, organization: Organization, member: Member) -> Member | None:
    """Who requested the last link; if they are gone, the owner; for the owner's own invitation, the
    provider's owner."""
    organization_ids = (organization.id, organization.provider_id)
    inviter_id = member.invited_by or ""
    candidates: list[Member | None] = []
    if ids.is_id("idn", inviter_id):
        memberships = queries.memberships(session, inviter_id)
        candidates += [m.member for m in memberships if m.organization.id in organization_ids]
    candidates += [queries.owner(session, organization_id) for organization_id in organization_ids]
    for candidate in candidates:
        if candidate is None or candidate.id == member.id:
            continue
        if candidate.status == "active" and candidate.verified:
            return candidate
    return None
