"""The message door and the clock's."""

from datetime import datetime
from typing import Any

from chassis import log
from chassis.envelope import Heard
from chassis.inbox import Listeners
from chassis.service import Job
from chassis.sql import Database, Session
from contracts import billing
from contracts import org as messages

from membership import clients
from membership.actions import chores, mails, organizations
from membership.values.letters import CREDITS_LOW, TOP_UP_WANTED

_LOG = log.get("membership")


def on_invite_owner(session: Session, message: messages.InviteOwner, heard: Heard) -> None:
    """A new customer wants its owner."""
    organizations.invite_owner(
        session, organization_id=message.organization_id, provider_id=message.provider_id, name=message.name,
        given_name=message.given_name, family_name=message.family_name, email=message.email,
        managed_by=message.managed_by, now=heard.now,
    )


def on_organization_activated(session: Session, message: messages.OrganizationActivated, _heard: Heard) -> None:
    """A new customer is ready."""
    organizations.open_organization(session, organization_id=message.organization_id)


def on_organization_changed(session: Session, message: messages.OrganizationChanged, _heard: Heard) -> None:
    """Name or management changed."""
    organizations.change_organization(
        session, organization_id=message.organization_id, name=message.name, managed_by=message.managed_by
    )


def on_organization_suspended(session: Session, message: messages.OrganizationSuspended, heard: Heard) -> None:
    """Everybody out."""
    organizations.suspend_organization(session, organization_id=message.organization_id, now=heard.now)


def on_end_access(session: Session, message: messages.EndAccess, heard: Heard) -> None:
    """A deletion wants the people out."""
    organizations.end_access(
        session, organization_id=message.organization_id, deletion_id=message.deletion_id, now=heard.now
    )


def on_restore_access(session: Session, message: messages.RestoreAccess, _heard: Heard) -> None:
    """A deletion or a suspension is over."""
    organizations.restore_access(
        session, organization_id=message.organization_id, conversation_id=message.conversation_id,
        suspended=message.suspended,
    )


def on_erase_members(session: Session, message: messages.EraseMembers, heard: Heard) -> None:
    """The grace is over."""
    organizations.erase_members(
        session, organization_id=message.organization_id, deletion_id=message.deletion_id, now=heard.now
    )


def on_settings_changed(session: Session, message: messages.SettingsChanged, _heard: Heard) -> None:
    """The provider's settings."""
    organizations.apply_settings(
        session, provider_id=message.provider_id, version=message.version, settings=message.settings
    )


def on_credits_low(session: Session, message: billing.CreditsLow, heard: Heard) -> None:
    """A customer's credits ran low."""
    mails.queue_figures(
        session, purpose=CREDITS_LOW, organization_id=message.organization_id, email=message.email, now=heard.now,
        figures={"organization": message.name, "currency": message.currency, "threshold": message.threshold,
                 "usable_credits": message.usable_credits},
    )


def on_top_up_wanted(session: Session, message: billing.TopUpWanted, heard: Heard) -> None:
    """A customer is to pay its automatic top-up."""
    mails.queue_figures(
        session, purpose=TOP_UP_WANTED, organization_id=message.organization_id, email=message.email, now=heard.now,
        figures={"organization": message.name, "currency": message.currency, "amount": message.amount,
                 "method": message.method.replace("_", " "), "usable_credits": message.usable_credits},
    )


def send_mails(database: Database, now: datetime, settings: Any) -> int:
    """Send one mail that is due. Its token's hash is committed before, so that a link which arrives works; dying in
    between only means that a newer link follows."""
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


def tell_of_failures(database: Database, now: datetime, _settings: Any) -> int:
    """Put wrong passwords into the audit."""
    with database.transaction() as session:
        return chores.tell_of_failures(session, now=now)


def forget(database: Database, now: datetime, _settings: Any) -> int:
    """Delete what has served its time."""
    with database.transaction() as session:
        return chores.forget_old(session, now=now)


LISTENERS: Listeners = {
    messages.InviteOwner: on_invite_owner,
    messages.OrganizationActivated: on_organization_activated,
    messages.OrganizationChanged: on_organization_changed,
    messages.OrganizationSuspended: on_organization_suspended,
    messages.EndAccess: on_end_access,
    messages.RestoreAccess: on_restore_access,
    messages.EraseMembers: on_erase_members,
    messages.SettingsChanged: on_settings_changed,
    billing.CreditsLow: on_credits_low,
    billing.TopUpWanted: on_top_up_wanted,
}

JOBS = (
    Job("send_mails", 0.5, send_mails),
    Job("tell_of_failures", 5, tell_of_failures),
    Job("forget_sessions", 60, forget),
)
