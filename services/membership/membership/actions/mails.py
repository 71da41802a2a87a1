"""Emails: queued with their content, and given a token at the moment they are sent."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chassis import email_addresses, errors
from chassis.runtime import log
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts
from membership.models import Identity, Mail, MailedToken, Member, Organization
from membership.values import attempt_limits, tokens
from membership.values.clients import Client
from membership.values.lifetimes import (
    ADDRESS_LINKS,
    INVITATION,
    LINK_LIFETIMES,
    RESET,
    STOP_TRANSFER,
    UNDO,
)
from membership.values.mails import OutgoingMail

_LOG = log.get("membership")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=60)
MAX_RETRY_DELAY = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=2)


class TooManyMails(errors.TooMany):
    code = "too_many_mails"
    detail = "Too many emails were sent to this address. Look for the last one, or try again later."


def queue_invitation(session: Session, *, member: Member, purpose: str, now: datetime) -> None:
    """Email a link by which the member verifies their address. Earlier links stop working."""
    supersede_links(session, member_id=member.id, now=now)
    _queue(session, purpose, member.email or "", member.id, now)


def queue_undo_link(
    session: Session, *, member: Member, email: str, role: str, now: datetime
) -> None:
    """Tell the member's former address that it was changed, with a link that takes the login back
    to at most the ``role`` that their token had, and restores who had admitted them."""
    _queue(session, UNDO, email, member.id, now, {"role": role, "admitted_by": member.admitted_by})


def queue_password_reset(session: Session, *, email: str, client: Client, now: datetime) -> None:
    """Email a link to reset the password to this address; to a person who has been invited and has
    none yet, the invitation again. Whether anyone has the address is checked when it is sent.

    Nothing is queued where there were too many requests; the caller does not learn that. Requests
    from where the person has signed in, and from elsewhere, are counted on their own."""
    known = queries.known_client(session, email, client, now)
    limits = attempt_limits.password_reset_limits(
        queries.failures_key(email, known), b"" if known else client.network
    )
    if not attempts.take(session, limits=limits, now=now):
        _queue(session, RESET, email, None, now)


def queue_password_reset_by_staff(session: Session, *, email: str, now: datetime) -> None:
    """Email that link at the request of someone else. Raises TooManyMails."""
    limits = attempt_limits.password_reset_limits_of_staff(queries.failures_key(email))
    seconds = attempts.take(session, limits=limits, now=now)
    if seconds:
        raise TooManyMails(retry_after=seconds)
    _queue(session, RESET, email, None, now)


def queue_billing_mail(
    session: Session,
    *,
    purpose: str,
    organization_id: str,
    email: str | None,
    details: dict[str, str],
    now: datetime,
) -> None:
    """Email the billing address, if there is one. ``details``: the values in the text, with the
    organization's name as ``organization``.

    Nothing is sent once the organization's access has ended. An organization that is not known
    here yet does get the email."""
    known = session.get(Organization, organization_id)
    if email and (known is None or known.state not in ("ended", "erased")):
        _queue(session, purpose, email, None, now, details)


def queue_notice(
    session: Session,
    *,
    purpose: str,
    organization: Organization,
    email: str,
    name: str,
    now: datetime,
    member_id: str | None = None,
    **details: Any,
) -> None:
    """Email a notice: the template for ``purpose`` with the recipient's ``name`` and ``details``.

    With ``member_id`` the email waits while the organization is suspended."""
    _queue(
        session,
        purpose,
        email,
        member_id,
        now,
        {"organization": organization.name, "name": name, **details},
    )


def queue_stop_link(
    session: Session, *, member: Member, details: dict[str, str], now: datetime
) -> None:
    """Email a link that stops the scheduled transfer of ownership. ``details``: the values in the
    text."""
    _queue(session, STOP_TRANSFER, member.email or "", member.id, now, details)


def supersede_links(session: Session, *, member_id: str, now: datetime) -> None:
    """Invalidate the links by which this member may verify their address, queued ones too."""
    _drop(
        session,
        Mail.member_id == member_id,
        Mail.purpose.in_(ADDRESS_LINKS),
        Mail.state == "queued",
    )
    _supersede(
        session, MailedToken.member_id == member_id, MailedToken.purpose.in_(ADDRESS_LINKS), now=now
    )


def supersede_undo_links(
    session: Session, *, member_id: str, since: datetime = EPOCH, now: datetime
) -> None:
    """Invalidate the links that undo address changes of this member made since then."""
    _drop(session, Mail.member_id == member_id, Mail.purpose == UNDO, Mail.created_at > since)
    _supersede(
        session,
        MailedToken.member_id == member_id,
        MailedToken.purpose == UNDO,
        MailedToken.created_at > since,
        now=now,
    )


def supersede_reset_links(session: Session, *, identity_id: str, now: datetime) -> None:
    """Invalidate the links by which this person may reset their password."""
    _supersede(
        session, MailedToken.identity_id == identity_id, MailedToken.purpose == RESET, now=now
    )


def _supersede(session: Session, *which: Any, now: datetime) -> None:
    unused = (MailedToken.used_at.is_(None), MailedToken.superseded_at.is_(None))
    session.execute(update(MailedToken).where(*which, *unused).values(superseded_at=now))


def _drop(session: Session, *which: Any) -> None:
    session.execute(update(Mail).where(*which).values(state="dropped"))


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


def _queue(
    session: Session,
    purpose: str,
    email: str,
    member_id: str | None,
    now: datetime,
    details: dict[str, Any] | None = None,
) -> None:
    session.add(
        Mail(
            purpose=purpose,
            email=email,
            member_id=member_id,
            details=details,
            state="queued",
            attempts=0,
            due_at=now,
            created_at=now,
        )
    )


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
    identity = queries.identity_by_email(session, mail.email)
    is_verified = identity is not None and identity.email_verified_at is not None
    if mail.details is not None and mail.purpose not in LINK_LIFETIMES:
        return OutgoingMail(
            mail_id=mail.id,
            purpose=mail.purpose,
            to=mail.email,
            organization=mail.details["organization"],
            given_name=mail.details.get("name", "") if is_verified else "",
            details=mail.details,
        )
    member = session.get(Member, mail.member_id) if mail.member_id else None
    if identity is None:
        return None
    purpose = mail.purpose
    if purpose == RESET and identity.password_hash is None:
        purpose, member = INVITATION, _newest_invited(session, identity)
    organization = session.get(Organization, member.organization_id) if member else None
    if not _may_send(purpose, mail.created_at, identity, member, organization, now):
        return None
    return OutgoingMail(
        mail_id=mail.id,
        purpose=purpose,
        to=mail.email,
        token=_new_token(session, mail, purpose, identity, member, now),
        given_name=identity.given_name if is_verified else "",
        organization=organization.name if organization else "",
        has_password=identity.password_hash is not None,
        details=mail.details or {},
    )


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
    """A link that undoes or stops something is valid from then, however long the email took."""
    token = tokens.new()
    member_id = member.id if member else None
    valid_from = mail.created_at if purpose in (UNDO, STOP_TRANSFER) else now
    if purpose in ADDRESS_LINKS:
        _supersede(
            session,
            MailedToken.member_id == member_id,
            MailedToken.purpose.in_(ADDRESS_LINKS),
            now=now,
        )
    else:
        same = (
            MailedToken.purpose == purpose,
            MailedToken.member_id.is_not_distinct_from(member_id),
        )
        _supersede(session, MailedToken.identity_id == identity.id, *same, now=now)
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
    created_at: datetime,
    identity: Identity,
    member: Member | None,
    organization: Organization | None,
    now: datetime,
) -> bool:
    if purpose == RESET:
        return identity.password_hash is not None
    if member is None or organization is None or organization.state not in ("provisioning", "open"):
        return False
    if purpose == STOP_TRANSFER:
        return member.identity_id == identity.id and created_at + LINK_LIFETIMES[purpose] > now
    if purpose == UNDO:
        return (
            member.status in queries.CURRENT_STATUSES
            and member.identity_id != identity.id
            and created_at + LINK_LIFETIMES[UNDO] > now
        )
    return (
        member.identity_id == identity.id
        and member.status in ("pending", "active")
        and not member.verified
    )
