"""The messages that org consumes."""

from typing import Any

from chassis.db.database import Session
from chassis.messaging.envelope import Envelope
from chassis.messaging.listeners import Listeners
from contracts import Message, billing, membership, org

from org import actions, sagas


def on_saga_reply(session: Session, envelope: Envelope, *, message: Message) -> None:
    sagas.receive_reply(session, message, now=envelope.now)


def on_state_reported(session: Session, envelope: Envelope, *, message: Message) -> None:
    sagas.receive_report(session, message, now=envelope.now)


def on_provider_created(
    session: Session,
    envelope: Envelope,
    *,
    organization_id: str,
    name: str,
    country: str,
    currency: str,
    timezone: str,
    owner: membership.Owner,
) -> None:
    actions.create_provider(
        session,
        organization_id=organization_id,
        name=name,
        country=country,
        currency=currency,
        timezone=timezone,
        owner=owner,
        now=envelope.now,
    )


def on_balance_changed(
    session: Session,
    envelope: Envelope,
    *,
    organization_id: str,
    payment_mode: str,
    usable_credits: str,
    balance: str,
    credit_limit: str,
    amount_due: str,
    days_to_empty: int | None,
    as_of: str,
) -> None:
    actions.update_balance(
        session,
        organization_id=organization_id,
        payment_mode=payment_mode,
        usable_credits=usable_credits,
        balance=balance,
        credit_limit=credit_limit,
        amount_due=amount_due,
        days_to_empty=days_to_empty,
        as_of=as_of,
    )


def on_members_changed(
    session: Session,
    envelope: Envelope,
    *,
    organization_id: str,
    members: int,
    admins: int,
    owner: membership.Owner,
) -> None:
    actions.update_members(
        session, organization_id=organization_id, members=members, admins=admins, owner=owner
    )


def on_acting_ended(
    session: Session,
    envelope: Envelope,
    *,
    organization_id: str,
    acting_id: str,
    started_at: str,
    ended_at: str,
) -> None:
    actions.schedule_receipt(
        session,
        organization_id=organization_id,
        acting_id=acting_id,
        started_at=started_at,
        ended_at=ended_at,
        now=envelope.now,
    )


def on_settings_applied(
    session: Session, envelope: Envelope, *, provider_id: str, version: int
) -> None:
    actions.mark_settings_applied(
        session, provider_id=provider_id, service=envelope.producer, version=version
    )


def on_audit_recorded(
    session: Session,
    envelope: Envelope,
    *,
    organization_id: str,
    entry_id: str,
    at: str,
    action: str,
    outcome: str,
    actor: dict[str, Any],
    target: dict[str, Any],
    changes: list[dict[str, Any]],
    reason: str | None,
    request_id: str | None,
    hash: str,  # noqa: A002 - the name of the field
    client_address: str | None,
    client_organization_id: str | None,
) -> None:
    actions.add_to_trail(
        session,
        organization_id=organization_id,
        service=envelope.producer,
        message_id=envelope.id,
        entry_id=entry_id,
        at=at,
        action=action,
        outcome=outcome,
        actor=actor,
        target=target,
        changes=changes,
        reason=reason,
        request_id=request_id,
        entry_hash=hash,
        client_address=client_address,
        client_organization_id=client_organization_id,
    )


def on_people_erased(session: Session, envelope: Envelope, *, people: list[str]) -> None:
    actions.erase_people(session, people, now=envelope.now)


LISTENERS: Listeners = {
    **dict.fromkeys(sagas.TABLE, on_saga_reply),
    membership.ProviderCreated: on_provider_created,
    billing.BalanceChanged: on_balance_changed,
    membership.MembersChanged: on_members_changed,
    membership.ActingEnded: on_acting_ended,
    billing.SettingsApplied: on_settings_applied,
    membership.SettingsApplied: on_settings_applied,
    org.AuditRecorded: on_audit_recorded,
    billing.AuditRecorded: on_audit_recorded,
    membership.AuditRecorded: on_audit_recorded,
    membership.PeopleErased: on_people_erased,
    billing.StateReported: on_state_reported,
    membership.StateReported: on_state_reported,
}
