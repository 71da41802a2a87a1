"""Links by which people join: asked for, not too often, and asked for again by those who hold an
old one."""

from datetime import datetime, timedelta

from chassis.auth.actor import SYSTEM, Actor
from chassis.runtime import ids
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import audit_log, mails
from membership.actions.mails import TooManyMails
from membership.models import Mail, Member, Organization
from membership.values import attempt_limits, limits
from membership.values.lifetimes import PROOFS
from membership.values.mails import RENEWAL_ASKED


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
    purpose: str,
    by: Actor,
    now: datetime,
) -> None:
    """Have a link mailed by which the member proves their address; the one before is dead at
    once."""
    member.invited_at, member.invited_by = now, None if by == SYSTEM else by.id
    mails.queue_invitation(session, member=member, purpose=purpose, now=now)
    audit_log.record(
        session, "invitation.sent", organization=organization, member=member, by=by, now=now
    )


def check_pause(member: Member, now: datetime) -> None:
    """Raise MailedJustNow while the last link is younger than a minute."""
    if left := attempt_limits.until(
        (member.invited_at or now - timedelta(days=1)) + limits.PAUSE, now
    ):
        raise MailedJustNow(retry_after=left)


def check_often(session: Session, *, member: Member, by: Actor, now: datetime) -> None:
    """Raise TooManyMails, in the words that fit, when there were enough links for this member,
    their address, by whoever wants it sent, or in the organization."""
    sent, others = Mail.purpose.in_(PROOFS), Member.id != member.id
    for refusal, when, limit, which in (
        (EnoughForMember, Mail.created_at, limits.TO_MEMBER, (Mail.member_id == member.id, sent)),
        (EnoughForAddress, Mail.created_at, limits.TO_ADDRESS, (Mail.email == member.email, sent)),
        (
            EnoughByInviter,
            Member.invited_at,
            limits.BY_INVITER,
            (Member.invited_by == by.id, others),
        ),
        (
            EnoughByOrganization,
            Member.invited_at,
            limits.BY_ORGANIZATION,
            (Member.organization_id == member.organization_id, others),
        ),
    ):
        if left := mails.wait(session, when, limit, *which, now=now):
            raise refusal(retry_after=left)


def ask_for_renewal(session: Session, *, raw: str, now: datetime) -> None:
    """Tell whoever has invited the holder of a dead link that they would like a new one: once a
    day, and only while they wait for one and hold none that is good. Where nothing is to be told,
    nothing happens."""
    token = queries.mailed_token(session, raw, PROOFS)
    if token is None or token.member_id is None:
        return
    known = session.get_one(Member, token.member_id)
    organization = queries.organization(session, known.organization_id, lock="use")
    if organization.state not in ("provisioning", "open", "suspended"):
        return
    member = session.get_one(Member, known.id, with_for_update=True, populate_existing=True)
    if member.identity_id != token.identity_id or not _needs_link(session, member, now):
        return
    told = _inviter(session, organization, member)
    if told is not None and told.email is not None:
        mails.queue_notice(
            session,
            purpose=RENEWAL_ASKED,
            organization=organization,
            email=told.email,
            name=told.name,
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


def _needs_link(session: Session, member: Member, now: datetime) -> bool:
    invitation = queries.invitation(session, member, now)
    asked = (Mail.member_id == member.id, Mail.purpose == RENEWAL_ASKED)
    return (
        invitation is not None
        and invitation.expired
        and not mails.wait(session, Mail.created_at, limits.RENEWALS, *asked, now=now)
    )


def _inviter(session: Session, organization: Organization, member: Member) -> Member | None:
    """Whoever asked for the last link, or the owner when they have gone, or the provider's for the
    owner's own."""
    around = (organization.id, organization.provider_id)
    inviter = member.invited_by or ""
    theirs = queries.places(session, inviter) if ids.is_id("idn", inviter) else []
    owners = (queries.owner(session, organization_id) for organization_id in around)
    found = [place.member for place in theirs if place.organization.id in around] + [
        o for o in owners if o
    ]
    return next(
        (one for one in found if one.status == "active" and one.verified and one.id != member.id),
        None,
    )
