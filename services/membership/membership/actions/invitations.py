"""Invitations: links by which members verify their address and join."""

from datetime import datetime

from chassis.auth.actor import SYSTEM, Actor
from chassis.runtime import ids
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import audit_log, mails
from membership.actions.mails import TooManyMails
from membership.models import Mail, Member, Organization
from membership.values import attempt_limits
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
        "This address received ten links within a day. Ask its owner to look for the last email, "
        "or send another one later."
    )


class EnoughByInviter(TooManyMails):
    code = "too_many_mails"
    detail = "You have invited 20 people within an hour. Try again later."


class EnoughByOrganization(TooManyMails):
    code = "too_many_mails"
    detail = "This organization has invited 200 people within a day. Try again later."


def invite(
    session: Session,
    *,
    organization: Organization,
    member: Member,
    by: Actor,
    now: datetime,
) -> None:
    """Email a link by which the member verifies their address; the previous one stops working."""
    member.invited_at, member.invited_by = now, None if by == SYSTEM else by.id
    mails.queue_invitation(session, member=member, now=now)
    audit_log.record(
        session, "invitation.sent", organization=organization, member=member, by=by, now=now
    )


def invite_again(
    session: Session, *, organization: Organization, member: Member, by: Actor, now: datetime
) -> None:
    """Email another link, if the limits allow it. Raises TooManyMails."""
    check_frequency(session, member=member, email=member.email, by=by, now=now)
    invite(session, organization=organization, member=member, by=by, now=now)


def check_pause(member: Member, now: datetime) -> None:
    """Raise MailedJustNow if the last link was requested less than a minute ago."""
    if member.invited_at is None:
        return
    seconds = attempt_limits.seconds_until(member.invited_at + attempt_limits.LINK_PAUSE, now)
    if seconds:
        raise MailedJustNow(retry_after=seconds)


def check_frequency(
    session: Session, *, member: Member, email: str | None, by: Actor, now: datetime
) -> None:
    """Raise the TooManyMails error that fits if too many links were sent to this member or address,
    by this inviter, or in the organization."""
    links = Mail.purpose.in_(ADDRESS_LINKS)
    others = Member.id != member.id
    for refusal, when, limit, which in (
        (
            EnoughForMember,
            Mail.created_at,
            attempt_limits.LINKS_TO_MEMBER,
            (Mail.member_id == member.id, links),
        ),
        (
            EnoughForAddress,
            Mail.created_at,
            attempt_limits.LINKS_TO_ADDRESS,
            (Mail.email == email, links),
        ),
        (
            EnoughByInviter,
            Member.invited_at,
            attempt_limits.INVITATIONS_BY_INVITER,
            (Member.invited_by == by.id, others),
        ),
        (
            EnoughByOrganization,
            Member.invited_at,
            attempt_limits.INVITATIONS_BY_ORGANIZATION,
            (Member.organization_id == member.organization_id, others),
        ),
    ):
        seconds = queries.seconds_until_allowed(session, when, limit, *which, now=now)
        if seconds:
            raise refusal(retry_after=seconds)


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
