"""The messages that org consumes."""

from typing import Any

from chassis.db.database import Session
from chassis.messaging.inbox import Envelope, Listeners
from contracts import Message, billing, membership, org

from org import actions, sagas


def on_saga_reply(session: Session, message: Message, envelope: Envelope) -> None:
    sagas.receive_reply(session, message, now=envelope.now)


def on_provider_created(
    session: Session, message: membership.ProviderCreated, envelope: Envelope
) -> None:
    actions.create_provider(session, message=message, now=envelope.now)


def on_balance_changed(
    session: Session, message: billing.BalanceChanged, envelope: Envelope
) -> None:
    actions.update_balance(session, message=message)


def on_members_changed(
    session: Session, message: membership.MembersChanged, envelope: Envelope
) -> None:
    actions.update_members(session, message=message)


def on_acting_ended(session: Session, message: membership.ActingEnded, envelope: Envelope) -> None:
    actions.schedule_receipt(session, message=message, now=envelope.now)


def on_settings_applied(
    session: Session,
    message: billing.SettingsApplied | membership.SettingsApplied,
    envelope: Envelope,
) -> None:
    actions.mark_settings_applied(
        session,
        provider_id=message.provider_id,
        service=message.producer(),
        version=message.version,
    )


def on_audit_recorded(session: Session, message: Any, envelope: Envelope) -> None:
    actions.add_to_trail(
        session, service=message.producer(), message=message, message_id=envelope.id
    )


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
}
