"""What billing does when it hears something."""

from typing import Any

from chassis.messaging.inbox import Envelope, Listeners
from contracts import membership, org, usage

from billing import actions
from billing.listeners.metering import BATCHES
from billing.values import parse_money


def open_account(session: Any, message: org.OpenAccount, envelope: Envelope) -> None:
    """A new customer wants an account."""
    limit = parse_money(message.credit_limit, zero=True) if message.credit_limit is not None else 0
    actions.open_account(session, **{**vars(message), "credit_limit": limit}, now=envelope.now)


def provider_created(session: Any, message: membership.ProviderCreated, envelope: Envelope) -> None:
    """A provider exists and has a wallet from now on."""
    actions.register_provider(
        session,
        provider_id=message.organization_id,
        name=message.name,
        country=message.country,
        currency=message.currency,
        timezone=message.timezone,
    )


def organization_changed(
    session: Any, message: org.OrganizationChanged, envelope: Envelope
) -> None:
    """What invoices print has changed."""
    actions.copy_organization(
        session,
        organization_id=message.organization_id,
        name=message.name,
        billing=message.billing,
        buyer_tags=message.buyer_tags,
    )


def organization_suspended(
    session: Any, message: org.OrganizationSuspended, envelope: Envelope
) -> None:
    """Nothing may be charged."""
    actions.freeze_account(session, organization_id=message.organization_id, now=envelope.now)


def reopen_account(session: Any, message: org.ReopenAccount, envelope: Envelope) -> None:
    """The organization comes back."""
    actions.reopen_account(session, **vars(message), now=envelope.now)


def close_account(session: Any, message: org.CloseAccount, envelope: Envelope) -> None:
    """The organization is to be deleted."""
    actions.close_account(session, **vars(message), now=envelope.now)


def seal_account(session: Any, message: org.SealAccount, envelope: Envelope) -> None:
    """The grace is over."""
    actions.seal_account(session, **vars(message), now=envelope.now)


def settings_changed(session: Any, message: org.SettingsChanged, envelope: Envelope) -> None:
    """The provider works by other settings."""
    actions.apply_settings(session, **vars(message))


LISTENERS: Listeners = {
    org.OpenAccount: open_account,
    membership.ProviderCreated: provider_created,
    org.OrganizationChanged: organization_changed,
    org.OrganizationSuspended: organization_suspended,
    org.ReopenAccount: reopen_account,
    org.CloseAccount: close_account,
    org.SealAccount: seal_account,
    org.SettingsChanged: settings_changed,
    usage.Recorded: BATCHES[usage.Recorded].one,
}
