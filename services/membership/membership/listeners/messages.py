"""Messages from the other services."""

from chassis.db.database import Session
from chassis.messaging.envelope import Envelope
from chassis.messaging.inbox import Listeners
from contracts import billing
from contracts import org as messages

from membership.actions import erasure, mails, organizations, providers, support_emails
from membership.values.mails import CREDITS_LOW, TOP_UP_DUE


def on_invite_owner(session: Session, message: messages.InviteOwner, envelope: Envelope) -> None:
    """A new customer needs an owner."""
    organizations.invite_owner(
        session,
        organization_id=message.organization_id,
        provider_id=message.provider_id,
        name=message.name,
        given_name=message.given_name,
        family_name=message.family_name,
        email=message.email,
        managed_by=message.managed_by,
        now=envelope.now,
    )


def on_organization_activated(
    session: Session, message: messages.OrganizationActivated, _envelope: Envelope
) -> None:
    """A new customer has been set up."""
    organizations.open_organization(session, organization_id=message.organization_id)


def on_organization_changed(
    session: Session, message: messages.OrganizationChanged, envelope: Envelope
) -> None:
    """An organization's name or manager has changed."""
    organizations.change_organization(
        session,
        organization_id=message.organization_id,
        name=message.name,
        managed_by=message.managed_by,
        now=envelope.now,
    )


def on_organization_suspended(
    session: Session, message: messages.OrganizationSuspended, envelope: Envelope
) -> None:
    """An organization has been suspended."""
    organizations.suspend_organization(
        session, organization_id=message.organization_id, now=envelope.now
    )


def on_end_access(session: Session, message: messages.EndAccess, envelope: Envelope) -> None:
    """A deletion ends the access of an organization's members."""
    organizations.end_access(
        session,
        organization_id=message.organization_id,
        deletion_id=message.deletion_id,
        now=envelope.now,
    )


def on_restore_access(
    session: Session, message: messages.RestoreAccess, _envelope: Envelope
) -> None:
    """A deletion was canceled or a suspension has ended."""
    organizations.restore_access(
        session,
        organization_id=message.organization_id,
        conversation_id=message.conversation_id,
        suspended=message.suspended,
    )


def on_erase_members(session: Session, message: messages.EraseMembers, envelope: Envelope) -> None:
    """The grace period of a deletion is over."""
    erasure.erase_members(
        session,
        organization_id=message.organization_id,
        deletion_id=message.deletion_id,
        now=envelope.now,
    )


def on_settings_changed(
    session: Session, message: messages.SettingsChanged, envelope: Envelope
) -> None:
    """The provider's settings have changed."""
    providers.apply_settings(
        session,
        provider_id=message.provider_id,
        version=message.version,
        settings=message.settings,
        now=envelope.now,
    )


def on_support_receipt_ready(
    session: Session, message: messages.SupportReceiptReady, envelope: Envelope
) -> None:
    """The list of what staff changed in an acting session is complete."""
    support_emails.send_receipt(
        session,
        organization_id=message.organization_id,
        acting_id=message.acting_id,
        left_out=message.left_out,
        rows=[vars(row) for row in message.rows],
        now=envelope.now,
    )


def on_credits_low(session: Session, message: billing.CreditsLow, envelope: Envelope) -> None:
    """A customer's credits are running low."""
    mails.queue_billing_mail(
        session,
        purpose=CREDITS_LOW,
        organization_id=message.organization_id,
        email=message.email,
        now=envelope.now,
        details={
            "organization": message.name,
            "currency": message.currency,
            "threshold": message.threshold,
            "usable_credits": message.usable_credits,
        },
    )


def on_top_up_wanted(session: Session, message: billing.TopUpWanted, envelope: Envelope) -> None:
    """A customer has to pay for an automatic top-up."""
    mails.queue_billing_mail(
        session,
        purpose=TOP_UP_DUE,
        organization_id=message.organization_id,
        email=message.email,
        now=envelope.now,
        details={
            "organization": message.name,
            "currency": message.currency,
            "amount": message.amount,
            "method": message.method.replace("_", " "),
            "usable_credits": message.usable_credits,
        },
    )


LISTENERS: Listeners = {
    messages.InviteOwner: on_invite_owner,
    messages.OrganizationActivated: on_organization_activated,
    messages.OrganizationChanged: on_organization_changed,
    messages.OrganizationSuspended: on_organization_suspended,
    messages.EndAccess: on_end_access,
    messages.RestoreAccess: on_restore_access,
    messages.EraseMembers: on_erase_members,
    messages.SettingsChanged: on_settings_changed,
    messages.SupportReceiptReady: on_support_receipt_ready,
    billing.CreditsLow: on_credits_low,
    billing.TopUpWanted: on_top_up_wanted,
}
