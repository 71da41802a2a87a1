"""Mails: queued with what they are about, given a token at the moment they are sent."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chassis import errors
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.actions import attempts
from membership.models import Identity, Mail, MailedToken, Member, Organization
from membership.values import attempt_limits, limits, tokens
from membership.values.attempt_limits import Limit, Limits
from membership.values.lifetimes import MAILED, PROOFS, RESET, UNDO
from membership.values.mails import Letter

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(hours=1)
GIVE_UP = timedelta(days=2)


class TooManyMails(errors.TooMany):
    code = "too_many_mails"
    detail = "Too many emails were sent to this address. Look for the last one, or try again later."


def wait(session: Session, when: Any, limit: Limit, *which: Any, now: datetime) -> int:
    """Whole seconds until there may be one more of what happened at ``when``; 0 when there may be
    now."""
    query = (
        select(when)
        .where(*which, when > now - limit.within)
        .order_by(when.desc())
        .offset(limit.most - 1)
        .limit(1)
    )
    first = session.scalar(query)
    return 0 if first is None else attempt_limits.until(first + limit.within, now)


def queue_invitation(session: Session, *, member: Member, purpose: str, now: datetime) -> None:
    """Have a link mailed by which the member proves their address; links sent before are dead at
    once."""
    supersede_links(session, member_id=member.id, now=now)
    _queue(session, purpose, member.email or "", member.id, now)


def queue_undo(session: Session, *, member: Member, email: str, role: str, now: datetime) -> None:
    """Have the address that the member had until now told that it has changed, with a link that
    takes the login back, to no more than the ``role`` that their token named."""
    _queue(session, UNDO, email, member.id, now, {"role": role})


def queue_reset(session: Session, *, email: str, asked_from: Limits, now: datetime) -> None:
    """Have a link mailed to whoever has that address; whether anybody does is found out when it is
    sent. From where enough were asked for, none is queued, and nobody learns of that."""
    try:
        attempts.check(session, limits=asked_from, now=now)
    except attempts.TooManyAttempts:
        return
    attempts.count_all(session, limits=asked_from, now=now)
    _queue(session, RESET, email, None, now)


def queue_reset_of(session: Session, *, email: str, now: datetime) -> None:
    """Have that link mailed because somebody else asked for it. Raises TooManyMails."""
    sent = (Mail.email == email, Mail.purpose == RESET, Mail.state != "dropped")
    if left := wait(session, Mail.created_at, limits.RESETS, *sent, now=now):
        raise TooManyMails(retry_after=left)
    _queue(session, RESET, email, None, now)


def queue_figures(
    session: Session,
    *,
    purpose: str,
    organization_id: str,
    email: str | None,
    figures: dict[str, str],
    now: datetime,
) -> None:
    """Have figures mailed to the address for bills, if there is one; ``organization`` among them is
    its name. An organization whose people were let go gets no mail; one that nobody has introduced
    here does."""
    known = session.get(Organization, organization_id)
    if email and (known is None or known.state not in ("ended", "erased")):
        _queue(session, purpose, email, None, now, figures)


def queue_notice(
    session: Session,
    *,
    purpose: str,
    organization: Organization,
    email: str,
    name: str,
    now: datetime,
    member_id: str | None = None,
    **figures: Any,
) -> None:
    """Have somebody told what happened, in the words that ``clients.letters`` has for ``purpose``, filled with
    ``name`` (theirs) and ``figures``. With ``member_id`` the mail waits while the organization is suspended."""
    _queue(
        session,
        purpose,
        email,
        member_id,
        now,
        {"organization": organization.name, "name": name, **figures},
    )


def supersede_links(session: Session, *, member_id: str, now: datetime) -> None:
    """Kill the links by which this member may prove their address, those on their way too."""
    _drop(session, Mail.member_id == member_id, Mail.purpose.in_(PROOFS), Mail.state == "queued")
    _supersede(
        session, MailedToken.member_id == member_id, MailedToken.purpose.in_(PROOFS), now=now
    )


def supersede_undos(
    session: Session, *, member_id: str, since: datetime = BEGINNING, now: datetime
) -> None:
    """Kill the links that bring former addresses of this member back: of the changes made since
    then."""
    _drop(session, Mail.member_id == member_id, Mail.purpose == UNDO, Mail.created_at > since)
    _supersede(
        session,
        MailedToken.member_id == member_id,
        MailedToken.purpose == UNDO,
        MailedToken.created_at > since,
        now=now,
    )


def supersede_resets(session: Session, *, identity_id: str, now: datetime) -> None:
    """Kill the links by which this person may choose a new password."""
    _supersede(
        session, MailedToken.identity_id == identity_id, MailedToken.purpose == RESET, now=now
    )


def _supersede(session: Session, *which: Any, now: datetime) -> None:
    open_ = (MailedToken.used_at.is_(None), MailedToken.superseded_at.is_(None))
    session.execute(update(MailedToken).where(*which, *open_).values(superseded_at=now))


def _drop(session: Session, *which: Any) -> None:
    session.execute(update(Mail).where(*which).values(state="dropped"))


def take_mail(session: Session, *, now: datetime) -> Letter | None:
    """The next mail that is due, with a fresh token whose hash is stored; it is due again after a
    minute unless it was sent by then. None when nothing is due; mails that nobody may get any more
    are dropped on the way."""
    while (mail := _next_due(session, now)) is not None:
        letter = _letter(session, mail, now)
        if letter is not None:
            return letter
        mail.state = "dropped"
        session.flush()
    return None


def mark_sent(session: Session, *, mail_id: int) -> None:
    """Remember that it is on its way."""
    session.execute(update(Mail).where(Mail.id == mail_id).values(state="sent"))


def postpone(session: Session, *, mail_id: int, now: datetime) -> None:
    """Try again later, after growing pauses; give up after two days."""
    mail = session.get_one(Mail, mail_id)
    mail.due_at = now + min(timedelta(seconds=5 * 2 ** min(mail.attempts, 12)), LONGEST_PAUSE)
    if now - mail.created_at > GIVE_UP:
        mail.state = "dropped"


def _queue(
    session: Session,
    purpose: str,
    email: str,
    member_id: str | None,
    now: datetime,
    figures: dict[str, Any] | None = None,
) -> None:
    session.add(
        Mail(
            purpose=purpose,
            email=email,
            member_id=member_id,
            figures=figures,
            state="queued",
            attempts=0,
            due_at=now,
            created_at=now,
        )
    )


def _next_due(session: Session, now: datetime) -> Mail | None:
    """Mails to people of an organization that is suspended wait until it is open again."""
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


def _letter(session: Session, mail: Mail, now: datetime) -> Letter | None:
    if mail.figures is not None and mail.purpose not in MAILED:
        return Letter(
            mail_id=mail.id,
            purpose=mail.purpose,
            to=mail.email,
            organization=mail.figures["organization"],
            given_name=mail.figures.get("name", ""),
            figures=mail.figures,
        )
    member = session.get(Member, mail.member_id) if mail.member_id else None
    identity = queries.identity_by_email(session, mail.email)
    organization = session.get(Organization, member.organization_id) if member else None
    if identity is None or not _may_get(session, mail, identity, member, organization, now):
        return None
    return Letter(
        mail_id=mail.id,
        purpose=mail.purpose,
        to=mail.email,
        token=_new_token(session, mail, identity, now),
        given_name=(member.given_name or member.name) if member else identity.given_name,
        organization=organization.name if organization else "",
        has_password=identity.password_hash is not None,
    )


def _new_token(session: Session, mail: Mail, identity: Identity, now: datetime) -> str:
    """The time of an undo runs from the change, however long the mail took."""
    token, begins = tokens.new(), mail.created_at if mail.purpose == UNDO else now
    if mail.purpose in PROOFS:
        _supersede(
            session,
            MailedToken.member_id == mail.member_id,
            MailedToken.purpose.in_(PROOFS),
            now=now,
        )
    else:
        same = (
            MailedToken.purpose == mail.purpose,
            MailedToken.member_id.is_not_distinct_from(mail.member_id),
        )
        _supersede(session, MailedToken.identity_id == identity.id, *same, now=now)
    session.add(
        MailedToken(
            digest=token.digest,
            purpose=mail.purpose,
            identity_id=identity.id,
            member_id=mail.member_id,
            email=mail.email,
            created_at=begins,
            expires_at=begins + MAILED[mail.purpose],
        )
    )
    return token.raw


def _may_get(
    session: Session,
    mail: Mail,
    identity: Identity,
    member: Member | None,
    organization: Organization | None,
    now: datetime,
) -> bool:
    if mail.purpose == RESET:
        # Those that were dropped don't count: whoever asks all the time must not keep the mails of
        # others away.
        kept = (
            Mail.email == mail.email,
            Mail.purpose == RESET,
            Mail.id < mail.id,
            Mail.state != "dropped",
        )
        return identity.password_hash is not None and not wait(
            session, Mail.created_at, limits.RESETS, *kept, now=now
        )
    if member is None or organization is None or organization.state not in ("provisioning", "open"):
        return False
    if mail.purpose == UNDO:
        return (
            member.status in queries.HERE
            and member.identity_id != identity.id
            and mail.created_at + MAILED[UNDO] > now
        )
    return (
        member.identity_id == identity.id
        and member.status in ("pending", "active")
        and not member.verified
    )
