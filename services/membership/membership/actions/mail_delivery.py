"""Delivering queued emails: which is due, what it holds, and the token in its link."""

from datetime import datetime, timedelta

from chassis import email_addresses
from chassis.runtime import log
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions.mails import EPOCH, supersede
from membership.models import Identity, Mail, MailedToken, Member, Organization
from membership.values import tokens
from membership.values.lifetimes import (
    ADDRESS_LINKS,
    INVITATION,
    LINK_LIFETIMES,
    RESET,
    RESET_CODES,
    STOP_TRANSFER,
    UNDO,
    VERIFICATION,
)
from membership.values.mails import OutgoingMail

_LOG = log.get("membership")
LEASE = timedelta(seconds=60)
MAX_RETRY_DELAY = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=2)
_VALID_FROM_REQUEST = (UNDO, STOP_TRANSFER, VERIFICATION, RESET_CODES)


def take_mail(session: Session, *, now: datetime) -> OutgoingMail | None:
    """The next due email, with a new token whose digest is stored; None when nothing is due.

    It is due again after a minute unless it is marked as sent by then. Emails that no longer may be
    sent are dropped on the way."""
    mail = _next_due(session, now)
    while mail is not None:
        outgoing = _outgoing(session, mail, now)
        if outgoing is not None:
            return outgoing
        mail.state = "dropped"
        session.flush()
        mail = _next_due(session, now)
    return None


def mark_sent(session: Session, *, mail_id: int) -> None:
    """Mark the email as sent."""
    session.execute(update(Mail).where(Mail.id == mail_id).values(state="sent"))


def postpone(session: Session, *, mail_id: int, now: datetime) -> None:
    """Try again after a growing delay; give up after two days."""
    mail = session.get_one(Mail, mail_id)
    mail.due_at = now + min(timedelta(seconds=5 * 2 ** min(mail.attempts, 12)), MAX_RETRY_DELAY)
    if now - mail.created_at > GIVE_UP_AFTER:
        mail.state = "dropped"


def _next_due(session: Session, now: datetime) -> Mail | None:
    """Emails to members of a suspended organization wait until it is open again."""
    query = (
        select(Mail)
        .outerjoin(Member, Member.id == Mail.member_id)
        .outerjoin(Organization, Organization.id == Member.organization_id)
        .where(Mail.state == "queued", Mail.due_at <= now)
        .where(or_(Mail.member_id.is_(None), Organization.state != "suspended"))
        .order_by(Mail.due_at, Mail.id)
        .limit(1)
        .with_for_update(of=Mail, skip_locked=True)
    )
    mail = session.scalars(query).one_or_none()
    if mail is not None:
        mail.attempts, mail.due_at = mail.attempts + 1, now + LEASE
    return mail


def _outgoing(session: Session, mail: Mail, now: datetime) -> OutgoingMail | None:
    if not email_addresses.is_valid(mail.email):  # it was stored when more was accepted
        _LOG.warning("mail.invalid_address", mail_id=mail.id, purpose=mail.purpose)
        return None
    identity = _changing_or_holding(session, mail)
    is_proved = mail.purpose != VERIFICATION and identity and identity.email_verified_at
    greeted = identity.given_name if identity and is_proved else ""
    if mail.details is not None and mail.purpose not in LINK_LIFETIMES:
        return OutgoingMail(
            mail_id=mail.id,
            purpose=mail.purpose,
            to=mail.email,
            organization=mail.details["organization"],
            given_name=greeted,
            details=mail.details,
        )
    member = session.get(Member, mail.member_id) if mail.member_id else None
    if identity is None:
        return None
    purpose = mail.purpose
    if purpose == RESET and identity.password_hash is None:
        purpose, member = INVITATION, _newest_invited(session, identity)
    organization = session.get(Organization, member.organization_id) if member else None
    if not _may_send(purpose, mail, identity, member, organization, now):
        return None
    return OutgoingMail(
        mail_id=mail.id,
        purpose=purpose,
        to=mail.email,
        token=_new_token(session, mail, purpose, identity, member, now),
        given_name=greeted,
        organization=organization.name if organization else "",
        has_password=_has_password(session, mail, identity),
        details=mail.details or {},
    )


def _changing_or_holding(session: Session, mail: Mail) -> Identity | None:
    """Whose address changes, or who has the address."""
    if mail.identity_id is not None:
        return session.get(Identity, mail.identity_id)
    return queries.identity_by_email(session, mail.email)


def _newest_invited(session: Session, identity: Identity) -> Member | None:
    """The person's last invited membership of those that they have not accepted."""
    pending = [
        member
        for member, organization in queries.memberships(session, identity.id)
        if member.status == "pending" and organization.state in ("provisioning", "open")
    ]
    return max(pending, key=lambda member: member.invited_at or EPOCH, default=None)


def _new_token(
    session: Session,
    mail: Mail,
    purpose: str,
    identity: Identity,
    member: Member | None,
    now: datetime,
) -> str:
    """A link about something that somebody did is valid from then, however long the email took. It
    replaces earlier ones; one that undoes a change does not, so that a second change does not take
    the first link from who was told of it."""
    token = tokens.new()
    member_id = member.id if member else None
    valid_from = mail.created_at if purpose in _VALID_FROM_REQUEST else now
    if purpose == INVITATION:
        supersede(
            session,
            MailedToken.member_id == member_id,
            MailedToken.purpose.in_(ADDRESS_LINKS),
            now=now,
        )
    elif purpose != UNDO:
        same = (
            MailedToken.purpose == purpose,
            MailedToken.email == mail.email,
            MailedToken.member_id.is_not_distinct_from(member_id),
        )
        supersede(session, MailedToken.identity_id == identity.id, *same, now=now)
    session.add(
        MailedToken(
            digest=token.digest,
            purpose=purpose,
            identity_id=identity.id,
            member_id=member_id,
            email=mail.email,
            created_at=valid_from,
            expires_at=valid_from + LINK_LIFETIMES[purpose],
        )
    )
    return token.raw


def _may_send(
    purpose: str,
    mail: Mail,
    identity: Identity,
    member: Member | None,
    organization: Organization | None,
    now: datetime,
) -> bool:
    if purpose == RESET:
        return identity.password_hash is not None
    is_change = purpose in (UNDO, VERIFICATION)
    if purpose in _VALID_FROM_REQUEST and mail.created_at + LINK_LIFETIMES[purpose] <= now:
        return False
    if is_change and mail.member_id is None:
        return _changes_own(purpose, mail, identity)
    if member is None or organization is None or organization.state not in ("provisioning", "open"):
        return False
    return _concerns(purpose, mail, identity, member)


def _concerns(purpose: str, mail: Mail, identity: Identity, member: Member) -> bool:
    """Whether a link about one membership is of use."""
    is_current = member.identity_id == identity.id
    if purpose == STOP_TRANSFER:
        return is_current
    if purpose == RESET_CODES:
        return is_current and member.status == "active"
    if purpose == UNDO:
        is_changed = not is_current or member.pending_email is not None
        return is_changed and member.status in queries.CURRENT_STATUSES
    if purpose == VERIFICATION:
        return is_current and member.pending_email == mail.email
    return is_current and member.status in ("pending", "active") and not member.verified


def _changes_own(purpose: str, mail: Mail, identity: Identity) -> bool:
    """Whether a link about the person's own address is of use."""
    if purpose == VERIFICATION:
        return identity.pending_email == mail.email
    return identity.pending_email is not None or identity.email not in (None, mail.email)


def _has_password(session: Session, mail: Mail, identity: Identity) -> bool:
    """Whether the person who uses the link has a password already."""
    if mail.purpose == VERIFICATION and mail.member_id is not None:
        holder = queries.identity_by_email(session, mail.email)
        return holder is not None and holder.password_hash is not None
    return identity.password_hash is not None
