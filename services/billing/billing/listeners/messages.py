"""What billing does with the messages of org and membership."""

from typing import Any

from chassis import audit
from chassis.messaging.envelope import Envelope
from chassis.messaging.listeners import Listeners
from contracts import membership, org, usage

from billing import actions
from billing.listeners.metering import BATCHES
from billing.values import parse_money


def on_open_account(
    session: Any,
    envelope: Envelope,
    *,
    organization_id: str,
    provider_id: str,
    name: str,
    country: str,
    currency: str,
    timezone: str,
    payment_mode: str,
    credit_limit: str | None,
    billing: dict[str, Any],
    buyer_tags: dict[str, Any],
) -> None:
    actions.open_account(
        session,
        organization_id=organization_id,
        provider_id=provider_id,
        name=name,
        country=country,
        currency=currency,
        timezone=timezone,
        payment_mode=payment_mode,
        credit_limit=0 if credit_limit is None else parse_money(credit_limit, zero=True),
        billing=billing,
        buyer_tags=buyer_tags,
        now=envelope.now,
    )


def on_provider_created(
    session: Any,
    envelope: Envelope,
    *,
    organization_id: str,
    name: str,
    country: str,
    currency: str,
    timezone: str,
) -> None:
    actions.register_provider(
        session,
        provider_id=organization_id,
        name=name,
        country=country,
        currency=currency,
        timezone=timezone,
    )


def on_organization_changed(
    session: Any,
    envelope: Envelope,
    *,
    organization_id: str,
    name: str,
    billing: dict[str, Any],
    buyer_tags: dict[str, Any],
) -> None:
    actions.copy_organization(
        session,
        organization_id=organization_id,
        name=name,
        billing=billing,
        buyer_tags=buyer_tags,
    )


def on_organization_suspended(session: Any, envelope: Envelope, *, organization_id: str) -> None:
    actions.freeze_account(session, organization_id=organization_id, now=envelope.now)


def on_freeze_account(
    session: Any, envelope: Envelope, *, organization_id: str, conversation_id: str
) -> None:
    actions.freeze_account(
        session,
        organization_id=organization_id,
        conversation_id=conversation_id,
        now=envelope.now,
    )


def on_reopen_account(
    session: Any, envelope: Envelope, *, organization_id: str, conversation_id: str, frozen: bool
) -> None:
    actions.reopen_account(
        session,
        organization_id=organization_id,
        conversation_id=conversation_id,
        frozen=frozen,
        now=envelope.now,
    )


def on_close_account(
    session: Any, envelope: Envelope, *, organization_id: str, deletion_id: str
) -> None:
    actions.close_account(
        session, organization_id=organization_id, deletion_id=deletion_id, now=envelope.now
    )


def on_seal_account(
    session: Any, envelope: Envelope, *, organization_id: str, deletion_id: str
) -> None:
    actions.seal_account(
        session, organization_id=organization_id, deletion_id=deletion_id, now=envelope.now
    )


def on_settings_changed(
    session: Any, envelope: Envelope, *, provider_id: str, version: int, settings: dict[str, Any]
) -> None:
    actions.apply_settings(session, provider_id=provider_id, version=version, settings=settings)


def on_report_state(
    session: Any, envelope: Envelope, *, organization_id: str, check_id: str, figures: bool
) -> None:
    actions.report_state(
        session,
        organization_id=organization_id,
        check_id=check_id,
        figures=figures,
        now=envelope.now,
    )


def on_people_erased(session: Any, envelope: Envelope, *, people: list[str]) -> None:
    audit.erase_people(session, people, now=envelope.now)


LISTENERS: Listeners = {
    org.OpenAccount: on_open_account,
    membership.ProviderCreated: on_provider_created,
    org.OrganizationChanged: on_organization_changed,
    org.OrganizationSuspended: on_organization_suspended,
    org.FreezeAccount: on_freeze_account,
    org.ReopenAccount: on_reopen_account,
    org.CloseAccount: on_close_account,
    org.SealAccount: on_seal_account,
    org.SettingsChanged: on_settings_changed,
    org.ReportState: on_report_state,
    membership.PeopleErased: on_people_erased,
    usage.Recorded: BATCHES[usage.Recorded].apply_one,
}
