"""Mails: queued with what they are about, given a token at the moment they are sent."""

from datetime import datetime, timedelta
from typing import Any

from chassis import errors
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from membership import queries
from membership.models import Identity, Mail, MailedToken, Member, Organization
from membership.values import tokens
from membership.values.letters import Letter
from membership.values.lifetimes import INVITATION, MAILED, RESET, VERIFICATION

LEASE = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(hours=1)
GIVE_UP = timedelta(days=2)
INVITATIONS_A_DAY = 6
RESETS_AN_HOUR = 3


class TooManyMails(errors.TooMany):
    """Enough mails went to this address today. Look for the last one, or wait until tomorrow."""

    code = "too_many_mails"


def queue_invitation(session: Session, *, member: Member, purpose: str, now: datetime) -> None:
    """Have a link mailed by which the member proves their address; links sent before are dead at once."""
    supersede_links(session, member_id=member.id, now=now)
    session.execute(
        update(Mail).where(Mail.member_id == member.id, Mail.state == "queued").values(state="dropped")
    )
    _queue(session, purpose, member.email or "", member.id, now)


def check_often(session: Session, *, email: str, now: datetime) -> None:
    """Raise TooManyMails when somebody had enough links mailed to this address."""
    if _count(session, email, (INVITATION, VERIFICATION), now - timedelta(days=1)) >= INVITATIONS_A_DAY:
        raise TooManyMails(retry_after=3600)


def queue_reset(session: Session, *, email: str, now: datetime) -> None:
    """Have a link mailed to whoever has that address; whether anybody does is found out when it is sent."""
    _queue(session, RESET, email, None, now)


def queue_figures(
    session: Session, *, purpose: str, organization_id: str, email: str | None, figures: dict[str, str], now: datetime
) -> None:
    """Have figures mailed to the address for bills, if there is one; ``organization`` among them is its name. An
    organization whose people were let go gets no mail; one that nobody has introduced here does."""
    known = session.get(Organization, organization_id)
    if email and (known is None or known.state not in ("ended", "erased")):
        _queue(session, purpose, email, None, now, figures)


def queue_notice(
    session: Session, *, purpose: str, organization: Organization, email: str, name: str, now: datetime,
    member_id: str | None = None, **figures: Any,
) -> None:
    """Have somebody told what happened, in the words that ``clients.letters`` has for ``purpose``, filled with
    ``name`` (theirs) and ``figures``. With ``member_id`` the mail waits while the organization is suspended."""
    _queue(session, purpose, email, member_id, now, {"organization": organization.name, "name": name, **figures})


def supersede_links(session: Session, *, member_id: str, now: datetime) -> None:
    """Kill the links that this member holds."""
    _supersede(session, MailedToken.member_id == member_id, now=now)


def supersede_resets(session: Session, *, identity_id: str, now: datetime) -> None:
    """Kill the links by which this person may choose a new password."""
    _supersede(session, MailedToken.identity_id == identity_id, MailedToken.purpose == RESET, now=now)


def _supersede(session: Session, *which: Any, now: datetime) -> None:
    open_ = (MailedToken.used_at.is_(None), MailedToken.superseded_at.is_(None))
    session.execute(update(MailedToken).where(*which, *open_).values(superseded_at=now))


def take_mail(session: Session, *, now: datetime) -> Letter | None:
    """The next mail that is due, with a fresh token whose hash is stored; it is due again after a minute unless it
    was sent by then. None when nothing is due; mails that nobody may get any more are dropped on the way."""
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
    session: Session, purpose: str, email: str, member_id: str | None, now: datetime,
    figures: dict[str, Any] | None = None,
) -> None:
    session.add(
        Mail(purpose=purpose, email=email, member_id=member_id, figures=figures, state="queued", attempts=0,
             due_at=now, created_at=now)
    )


def _count(session: Session, email: str, purposes: tuple[str, ...], since: datetime, *further: Any) -> int:
    query = select(func.count()).select_from(Mail).where(
        Mail.email == email, Mail.purpose.in_(purposes), Mail.created_at > since, *further
    )
    return session.scalar(query) or 0


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
    if mail.figures is not None:
        return Letter(mail_id=mail.id, purpose=mail.purpose, to=mail.email, organization=mail.figures["organization"],
                      given_name=mail.figures.get("name", ""), figures=mail.figures)
    member = session.get(Member, mail.member_id) if mail.member_id else None
    identity = queries.identity_by_email(session, mail.email)
    organization = session.get(Organization, member.organization_id) if member else None
    if identity is None or not _may_get(session, mail, identity, member, organization, now):
        return None
    token = tokens.new()
    _supersede_earlier(session, mail, identity, now)
    session.add(
        MailedToken(
            digest=token.digest, purpose=mail.purpose, identity_id=identity.id, member_id=mail.member_id,
            email=mail.email, created_at=now, expires_at=now + MAILED[mail.purpose],
        )
    )
    return Letter(
        mail_id=mail.id, purpose=mail.purpose, to=mail.email, token=token.raw,
        given_name=(member.given_name or member.name) if member else identity.given_name,
        organization=organization.name if organization else "", has_password=identity.password_hash is not None,
    )


def _may_get(
    session: Session, mail: Mail, identity: Identity, member: Member | None, organization: Organization | None,
    now: datetime,
) -> bool:
    if mail.purpose == RESET:
        # Those that were dropped don't count: whoever asks all the time must not keep the mails of others away.
        kept = (Mail.id < mail.id, Mail.state != "dropped")
        earlier = _count(session, mail.email, (RESET,), now - timedelta(hours=1), *kept)
        return identity.password_hash is not None and earlier < RESETS_AN_HOUR
    return (
        member is not None and organization is not None and organization.state in ("provisioning", "open")
        and member.identity_id == identity.id and member.status in ("pending", "active") and not member.verified
    )


def _supersede_earlier(session: Session, mail: Mail, identity: Identity, now: datetime) -> None:
    if mail.member_id:
        supersede_links(session, member_id=mail.member_id, now=now)
    else:
        supersede_resets(session, identity_id=identity.id, now=now)
