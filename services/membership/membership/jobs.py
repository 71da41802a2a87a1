"""Periodic jobs."""

from datetime import datetime
from typing import Any

from chassis.db.database import Database
from chassis.runtime import log
from chassis.runtime.service import Job

from membership import clients
from membership.actions import cleanup, mails, support, transfers

_LOG = log.get("membership")


def send_mails(database: Database, now: datetime, settings: Any) -> int:
    """Send one mail that is due. Its token's hash is committed before, so that a link which arrives
    works; dying in between only means that a newer link follows."""
    with database.transaction() as session:
        letter = mails.take_mail(session, now=now)
    if letter is None:
        return 0
    try:
        message = clients.compose(letter, public_url=settings.public_url, sender=settings.mail_from)
        clients.post(settings.mail_url)(message)
    except Exception:
        _LOG.warning("mail.failed", mail=letter.mail_id, exc_info=True)
        with database.transaction() as session:
            mails.postpone(session, mail_id=letter.mail_id, now=now)
        return 1
    with database.transaction() as session:
        mails.mark_sent(session, mail_id=letter.mail_id)
    return 1


def report_failed_attempts(database: Database, now: datetime, _settings: Any) -> int:
    """Put wrong passwords into the audit."""
    with database.transaction() as session:
        return cleanup.tell_of_failures(session, now=now)


def delete_expired(database: Database, now: datetime, _settings: Any) -> int:
    """Delete what has served its time."""
    with database.transaction() as session:
        return cleanup.forget_old(session, now=now) + cleanup.forget_former(session, now=now)


def expire_offers(database: Database, now: datetime, _settings: Any) -> int:
    """Note that the time of an offered ownership is over."""
    with database.transaction() as session:
        return transfers.expire_offer(session, now=now)


def end_support(database: Database, now: datetime, _settings: Any) -> int:
    """Put out whose time inside is over, and announce the ends to come."""
    with database.transaction() as session:
        return support.end_due(session, now=now) + support.warn_of_ends(session, now=now)


JOBS = (
    Job("send_mails", 0.5, send_mails),
    Job("report_failed_attempts", 5, report_failed_attempts),
    Job("delete_expired", 60, delete_expired),
    Job("expire_offers", 60, expire_offers),
    Job("end_support", 1, end_support),
)
