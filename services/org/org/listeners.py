"""The messages that org consumes."""

from chassis.db.database import Session
from chassis.messaging.envelope import Envelope
from chassis.messaging.listeners import Group, GroupListener, Listeners
from contracts import Message, billing, membership, org
from contracts.parts import AuditRecorded

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


def on_balances_changed(session: Session, group: Group[billing.BalanceChanged]) -> None:
    actions.update_balances(session, [message for _, message in group])


def on_auto_top_up_failed(
    session: Session, _envelope: Envelope, *, organization_id: str, usable_credits: str
) -> None:
    actions.note_failed_top_up(
        session, organization_id=organization_id, usable_credits=usable_credits
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


def on_audit_recorded(session: Session, group: Group[AuditRecorded]) -> None:
    actions.add_to_trail(
        session,
        [(envelope.producer, envelope.id, message) for envelope, message in group],
    )


def on_people_erased(session: Session, envelope: Envelope, *, people: list[str]) -> None:
    actions.erase_people(session, people, now=envelope.now)


LISTENERS: Listeners = {
    **dict.fromkeys(sagas.TABLE, on_saga_reply),
    membership.ProviderCreated: on_provider_created,
    billing.BalanceChanged: GroupListener(on_balances_changed),
    billing.AutoTopUpFailed: on_auto_top_up_failed,
    membership.MembersChanged: on_members_changed,
    membership.ActingEnded: on_acting_ended,
    billing.SettingsApplied: on_settings_applied,
    membership.SettingsApplied: on_settings_applied,
    org.AuditRecorded: GroupListener(on_audit_recorded),
    billing.AuditRecorded: GroupListener(on_audit_recorded),
    membership.AuditRecorded: GroupListener(on_audit_recorded),
    membership.PeopleErased: on_people_erased,
    billing.StateReported: on_state_reported,
    membership.StateReported: on_state_reported,
}
