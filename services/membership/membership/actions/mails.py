"""Emails: queued with their content, and the links in them invalidated."""

from datetime import UTC, datetime
from typing import Any

from chassis import errors
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts
from membership.models import Identity, Mail, MailedToken, Member, Organization
from membership.values import attempt_limits
from membership.values.clients import Client
from membership.values.lifetimes import (
    ADDRESS_LINKS,
    INVITATION,
    RESET,
    RESET_CODES,
    STOP_TRANSFER,
    UNDO,
    VERIFICATION,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TooManyMails(errors.TooMany):
    code = "too_many_mails"
    detail = "Too many emails were sent to this address. Look for the last one, or try again later."


def queue_invitation(
    session: Session,
    *,
    member: Member,
    now: datetime,
    at: datetime,
    details: dict[str, str] | None,
) -> None:
    """Email a link by which the member verifies their address, not before ``at``. Earlier links
    stop working."""
    supersede_links(session, member_id=member.id, now=now)
    _queue(session, INVITATION, member.email or "", member.id, at, details)


def queue_change(
    session: Session,
    *,
    identity: Identity,
    member_id: str | None,
    email: str,
    details: dict[str, str],
    former: dict[str, str],
    now: datetime,
) -> None:
    """Email the new address a link that proves it, and the present one a link that undoes the
    change; of one membership, or of the person everywhere. ``details``, ``former``: what the links
    may give. Links of an earlier change that is pending stop working."""
    supersede_change(session, identity_id=identity.id, member_id=member_id, now=now)
    of = {"identity_id": identity.id}
    _queue(session, VERIFICATION, email, member_id, now, details, **of)
    _queue(session, UNDO, identity.email or "", member_id, now, former, **of)


def queue_proof_again(
    session: Session, *, member: Member, details: dict[str, str], by: str, now: datetime
) -> None:
    """Email the link that proves the member's new address again, at the request of ``by``. The
    previous one stops working. ``details``: what the link may give if it is not stored any more
    what the change was to give."""
    sent = (Mail.member_id == member.id, Mail.purpose == VERIFICATION)
    newest = select(Mail.details).where(*sent).order_by(Mail.id.desc()).limit(1)
    details = {**(session.scalars(newest).first() or details), "by": by}
    identity_id = member.identity_id or ""
    supersede_change(session, identity_id=identity_id, member_id=member.id, now=now)
    _queue(
        session,
        VERIFICATION,
        member.pending_email or "",
        member.id,
        now,
        details,
        identity_id=identity_id,
    )


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
    now: datetime,
    member_id: str | None = None,
    **details: Any,
) -> None:
    """Email a notice: the template for ``purpose`` with these ``details``.

    With ``member_id`` the email waits while the organization is suspended."""
    _queue(
        session,
        purpose,
        email,
        member_id,
        now,
        {"organization": organization.name, **details},
    )


def queue_stop_link(
    session: Session, *, member: Member, details: dict[str, str], now: datetime
) -> None:
    """Email a link that stops the scheduled transfer of ownership. ``details``: the values in the
    text."""
    _queue(session, STOP_TRANSFER, member.email or "", member.id, now, details)


def queue_codes_link(
    session: Session, *, member: Member, identity: Identity, details: dict[str, str], now: datetime
) -> None:
    """Email a link by which the person turns off their one-time codes with their password.
    ``details``: the values in the text."""
    email = identity.email or ""
    _queue(session, RESET_CODES, email, member.id, now, details, identity_id=identity.id)


def supersede_codes_links(session: Session, *, identity_id: str, now: datetime) -> None:
    """Invalidate the links by which this person may turn off their one-time codes, queued ones
    too."""
    sent = (Mail.identity_id == identity_id, Mail.purpose == RESET_CODES, Mail.state == "queued")
    _drop(session, *sent)
    links = (MailedToken.identity_id == identity_id, MailedToken.purpose == RESET_CODES)
    supersede(session, *links, now=now)


def supersede_links(session: Session, *, member_id: str, now: datetime) -> None:
    """Invalidate the links by which this member may verify their address, queued ones too."""
    _drop(
        session,
        Mail.member_id == member_id,
        Mail.purpose.in_(ADDRESS_LINKS),
        Mail.state == "queued",
    )
    supersede(
        session, MailedToken.member_id == member_id, MailedToken.purpose.in_(ADDRESS_LINKS), now=now
    )


def supersede_change(
    session: Session, *, identity_id: str, member_id: str | None, now: datetime
) -> None:
    """Invalidate the links that prove a new address, queued ones too."""
    of = (
        Mail.identity_id == identity_id,
        Mail.member_id.is_not_distinct_from(member_id),
        Mail.purpose == VERIFICATION,
        Mail.state == "queued",
    )
    _drop(session, *of)
    links = (
        MailedToken.identity_id == identity_id,
        MailedToken.member_id.is_not_distinct_from(member_id),
        MailedToken.purpose == VERIFICATION,
    )
    supersede(session, *links, now=now)


def replace_undo_links(
    session: Session, *, identity_id: str, email: str, since: datetime, now: datetime
) -> None:
    """Invalidate the links that undo changes of the person's own address made since then, and those
    that went to another address than ``email``: what undoes a change of one membership is emailed
    there instead."""
    sent = (Mail.identity_id == identity_id, Mail.purpose == UNDO, Mail.created_at > since)
    elsewhere = (*sent, Mail.member_id.is_not(None), Mail.email != email, Mail.state != "dropped")
    newest_first = select(Mail).where(*elsewhere).order_by(Mail.id.desc())
    first = {mail.member_id: mail for mail in session.scalars(newest_first)}
    _drop(session, *sent, or_(Mail.member_id.is_(None), Mail.email != email))
    links = (
        MailedToken.identity_id == identity_id,
        MailedToken.purpose == UNDO,
        MailedToken.created_at > since,
        or_(MailedToken.member_id.is_(None), MailedToken.email != email),
    )
    supersede(session, *links, now=now)
    for member_id, mail in sorted(first.items()):
        _queue(session, UNDO, email, member_id, now, mail.details, identity_id=identity_id)


def supersede_undo_links(
    session: Session, *, member_id: str, since: datetime = EPOCH, now: datetime
) -> None:
    """Invalidate the links that undo address changes of this member made since then."""
    _drop(session, Mail.member_id == member_id, Mail.purpose == UNDO, Mail.created_at > since)
    supersede(
        session,
        MailedToken.member_id == member_id,
        MailedToken.purpose == UNDO,
        MailedToken.created_at > since,
        now=now,
    )


def supersede_reset_links(session: Session, *, identity_id: str, now: datetime) -> None:
    """Invalidate the links by which this person may reset their password."""
    supersede(
        session, MailedToken.identity_id == identity_id, MailedToken.purpose == RESET, now=now
    )


def supersede(session: Session, *which: Any, now: datetime) -> None:
    """Invalidate the unused links for which these conditions hold."""
    unused = (MailedToken.used_at.is_(None), MailedToken.superseded_at.is_(None))
    session.execute(update(MailedToken).where(*which, *unused).values(superseded_at=now))


def _drop(session: Session, *which: Any) -> None:
    session.execute(update(Mail).where(*which).values(state="dropped"))


def _queue(
    session: Session,
    purpose: str,
    email: str,
    member_id: str | None,
    now: datetime,
    details: dict[str, Any] | None = None,
    identity_id: str | None = None,
) -> None:
    session.add(
        Mail(
            identity_id=identity_id,
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
