"""Messages from the other services."""

from typing import Any

from chassis.db.database import Session
from chassis.messaging.envelope import Envelope
from chassis.messaging.listeners import Listeners
from contracts import billing
from contracts import org as messages

from membership.actions import (
    erasure,
    mails,
    organizations,
    providers,
    reports,
    support_emails,
)
from membership.values.mails import CREDITS_LOW, TOP_UP_DUE


def on_invite_owner(
    session: Session,
    envelope: Envelope,
    *,
    organization_id: str,
    provider_id: str,
    name: str,
    given_name: str,
    family_name: str,
    email: str,
    managed_by: str,
) -> None:
    """A new customer needs an owner."""
    organizations.invite_owner(
        session,
        organization_id=organization_id,
        provider_id=provider_id,
        name=name,
        given_name=given_name,
        family_name=family_name,
        email=email,
        managed_by=managed_by,
        now=envelope.now,
    )


def on_organization_activated(
    session: Session, envelope: Envelope, *, organization_id: str
) -> None:
    """A new customer has been set up."""
    organizations.open_organization(session, organization_id=organization_id)


def on_organization_changed(
    session: Session,
    envelope: Envelope,
    *,
    organization_id: str,
    name: str,
    managed_by: str,
    mfa_required: bool | None,
) -> None:
    """An organization's name, manager or demand for codes has changed."""
    organizations.change_organization(
        session,
        organization_id=organization_id,
        name=name,
        managed_by=managed_by,
        mfa_required=mfa_required,
        now=envelope.now,
    )


def on_organization_suspended(
    session: Session, envelope: Envelope, *, organization_id: str
) -> None:
    """An organization has been suspended."""
    organizations.suspend_organization(session, organization_id=organization_id, now=envelope.now)


def on_suspend_access(
    session: Session, envelope: Envelope, *, organization_id: str, conversation_id: str
) -> None:
    """A suspension, which org wants confirmed."""
    organizations.suspend_organization(
        session,
        organization_id=organization_id,
        conversation_id=conversation_id,
        now=envelope.now,
    )


def on_end_access(
    session: Session, envelope: Envelope, *, organization_id: str, deletion_id: str
) -> None:
    """A deletion ends the access of an organization's members."""
    organizations.end_access(
        session,
        organization_id=organization_id,
        deletion_id=deletion_id,
        now=envelope.now,
    )


def on_restore_access(
    session: Session,
    envelope: Envelope,
    *,
    organization_id: str,
    conversation_id: str,
    suspended: bool,
) -> None:
    """A deletion was canceled or a suspension has ended."""
    organizations.restore_access(
        session,
        organization_id=organization_id,
        conversation_id=conversation_id,
        suspended=suspended,
    )


def on_erase_members(
    session: Session, envelope: Envelope, *, organization_id: str, deletion_id: str
) -> None:
    """The grace period of a deletion is over."""
    erasure.erase_members(
        session,
        organization_id=organization_id,
        deletion_id=deletion_id,
        now=envelope.now,
    )


def on_settings_changed(
    session: Session,
    envelope: Envelope,
    *,
    provider_id: str,
    version: int,
    settings: dict[str, Any],
) -> None:
    """The provider's settings have changed."""
    providers.apply_settings(
        session,
        provider_id=provider_id,
        version=version,
        settings=settings,
        now=envelope.now,
    )


def on_report_state(
    session: Session, envelope: Envelope, *, organization_id: str, check_id: str, figures: bool
) -> None:
    """Org compares what it stores with what membership stores."""
    reports.report_state(
        session, organization_id=organization_id, check_id=check_id, figures=figures
    )


def on_support_receipt_ready(
    session: Session,
    envelope: Envelope,
    *,
    organization_id: str,
    acting_id: str,
    left_out: int,
    rows: list[messages.Change],
) -> None:
    """The list of what staff changed in an acting session is complete."""
    support_emails.send_receipt(
        session,
        organization_id=organization_id,
        acting_id=acting_id,
        left_out=left_out,
        rows=[vars(row) for row in rows],
        now=envelope.now,
    )


def on_credits_low(
    session: Session,
    envelope: Envelope,
    *,
    organization_id: str,
    email: str | None,
    name: str,
    currency: str,
    threshold: str,
    usable_credits: str,
) -> None:
    """A customer's credits are running low."""
    mails.queue_billing_mail(
        session,
        purpose=CREDITS_LOW,
        organization_id=organization_id,
        email=email,
        now=envelope.now,
        details={
            "organization": name,
            "currency": currency,
            "threshold": threshold,
            "usable_credits": usable_credits,
        },
    )


def on_top_up_wanted(
    session: Session,
    envelope: Envelope,
    *,
    organization_id: str,
    email: str | None,
    name: str,
    currency: str,
    amount: str,
    method: str,
    usable_credits: str,
) -> None:
    """A customer has to pay for an automatic top-up."""
    mails.queue_billing_mail(
        session,
        purpose=TOP_UP_DUE,
        organization_id=organization_id,
        email=email,
        now=envelope.now,
        details={
            "organization": name,
            "currency": currency,
            "amount": amount,
            "method": method.replace("_", " "),
            "usable_credits": usable_credits,
        },
    )


LISTENERS: Listeners = {
    messages.InviteOwner: on_invite_owner,
    messages.OrganizationActivated: on_organization_activated,
    messages.OrganizationChanged: on_organization_changed,
    messages.OrganizationSuspended: on_organization_suspended,
    messages.SuspendAccess: on_suspend_access,
    messages.EndAccess: on_end_access,
    messages.RestoreAccess: on_restore_access,
    messages.EraseMembers: on_erase_members,
    messages.SettingsChanged: on_settings_changed,
    messages.ReportState: on_report_state,
    messages.SupportReceiptReady: on_support_receipt_ready,
    billing.CreditsLow: on_credits_low,
    billing.TopUpWanted: on_top_up_wanted,
}
