"""Periodic jobs."""

from datetime import datetime
from typing import Any

from chassis import audit
from chassis.db.database import Database
from chassis.runtime import log
from chassis.runtime.service import Job

from membership import clients
from membership.actions import (
    cleanup,
    erasure,
    key_makers,
    lost_owners,
    mail_delivery,
    reencryption,
    support_emails,
    support_grants,
)
from membership.values.encryption import Encryption

_LOG = log.get("membership")


def send_mails(database: Database, now: datetime, settings: Any) -> int:
    """Send one due email. The digest of its token is committed before, so that the link works when
    it arrives; after a crash in between a newer link follows."""
    with database.transaction() as session:
        outgoing = mail_delivery.take_mail(session, now=now)
    if outgoing is None:
        return 0
    try:
        message = clients.compose(
            outgoing, public_url=settings.public_url, sender=settings.mail_from
        )
        clients.post(settings.mail_url)(message)
    except Exception:
        _LOG.warning("mail.failed", mail_id=outgoing.mail_id, exc_info=True)
        with database.transaction() as session:
            mail_delivery.postpone(session, mail_id=outgoing.mail_id, now=now)
        return 1
    with database.transaction() as session:
        mail_delivery.mark_sent(session, mail_id=outgoing.mail_id)
    return 1


def report_failed_attempts(database: Database, now: datetime, _settings: Any) -> int:
    """Record failed passwords in the audit log."""
    with database.transaction() as session:
        return cleanup.report_failed_attempts(session)


def delete_expired(database: Database, now: datetime, _settings: Any) -> int:
    """Delete and erase what is past its retention."""
    with database.transaction() as session:
        return (
            cleanup.delete_expired(session, now=now)
            + cleanup.erase_former_identities(session, now=now)
            + erasure.erase_removed(session, now=now)
        )


def erase_people(database: Database, now: datetime, _settings: Any) -> int:
    """Take erased people out of the audit log."""
    with database.transaction() as session:
        return audit.erase_more(session, now=now)


def expire_offers(database: Database, now: datetime, _settings: Any) -> int:
    """Expire offers of ownership, and let scheduled transfers take effect."""
    with database.transaction() as session:
        return lost_owners.settle_due(session, now=now)


def end_support(database: Database, now: datetime, _settings: Any) -> int:
    """End what has expired, and warn of grants that end soon."""
    with database.transaction() as session:
        ended = support_grants.end_expired(session, now=now)
        return ended + support_emails.warn_of_expiry(session, now=now)


def suspend_keys(database: Database, now: datetime, _settings: Any) -> int:
    """Suspend the keys whose makers have left, after their owners were warned."""
    with database.transaction() as session:
        return key_makers.check_old_keys(session, now=now) + key_makers.suspend_due(
            session, now=now
        )


def reencrypt(database: Database, settings: Any) -> str:
    """Encrypt the secrets of one-time codes with the current pepper, when an operator asks for it;
    what to tell them."""
    encryption = Encryption(*settings.peppers)
    after, done, lost = None, 0, 0
    while True:
        with database.transaction() as session:
            after, moved, unreadable = reencryption.reencrypt(
                session, encryption=encryption, after=after
            )
        if after is None:
            break
        done, lost = done + moved, lost + unreadable
    with database.reading() as session:
        codes, pins = reencryption.count_hashed(session)
    return (
        f"{done} secrets of one-time codes are encrypted with PEPPER, {lost} cannot be decrypted.\n"
        f"{codes} recovery codes and {pins} PINs are stored as hashes. Those from before PEPPER was"
        " replaced stop working when PREVIOUS_PEPPER is removed."
    )


JOBS = (
    Job("send_mails", 0.5, send_mails),
    Job("report_failed_attempts", 5, report_failed_attempts),
    Job("delete_expired", 60, delete_expired),
    Job("erase_people", 60, erase_people),
    Job("expire_offers", 60, expire_offers),
    Job("end_support", 1, end_support, idle=10),
    Job("suspend_keys", 60, suspend_keys),
)
