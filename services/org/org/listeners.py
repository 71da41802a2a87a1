"""The message door and the clock's: what org does when it hears something, and when it is time."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from chassis.db.database import Database, Session
from chassis.messaging.inbox import Envelope, Listeners
from chassis.runtime.service import Job
from contracts import billing, membership, org

from org import actions, sagas


def provider_created(
    session: Session, message: membership.ProviderCreated, envelope: Envelope
) -> None:
    actions.create_provider(session, message=message, now=envelope.now)


def account_opened(session: Session, message: billing.AccountOpened, envelope: Envelope) -> None:
    sagas.account_opened(session, organization_id=message.organization_id, now=envelope.now)


def owner_invited(session: Session, message: membership.OwnerInvited, envelope: Envelope) -> None:
    sagas.owner_invited(
        session,
        organization_id=message.organization_id,
        owner=vars(message.owner),
        now=envelope.now,
    )


def account_closed(session: Session, message: billing.AccountClosed, envelope: Envelope) -> None:
    sagas.account_closed(session, **vars(message), now=envelope.now)


def account_not_closed(
    session: Session, message: billing.AccountNotClosed, envelope: Envelope
) -> None:
    sagas.account_not_closed(session, **vars(message), now=envelope.now)


def access_ended(session: Session, message: membership.AccessEnded, envelope: Envelope) -> None:
    sagas.access_ended(session, **vars(message), now=envelope.now)


def account_sealed(session: Session, message: billing.AccountSealed, envelope: Envelope) -> None:
    sagas.account_sealed(session, **vars(message), now=envelope.now)


def account_not_sealed(
    session: Session, message: billing.AccountNotSealed, envelope: Envelope
) -> None:
    sagas.account_not_sealed(session, **vars(message), now=envelope.now)


def members_erased(session: Session, message: membership.MembersErased, envelope: Envelope) -> None:
    sagas.members_erased(session, **vars(message), now=envelope.now)


def account_reopened(
    session: Session, message: billing.AccountReopened, envelope: Envelope
) -> None:
    sagas.account_reopened(session, **vars(message), now=envelope.now)


def access_restored(
    session: Session, message: membership.AccessRestored, envelope: Envelope
) -> None:
    sagas.access_restored(session, **vars(message), now=envelope.now)


def balance_changed(session: Session, message: billing.BalanceChanged, envelope: Envelope) -> None:
    actions.note_balance(session, message=message)


def members_changed(
    session: Session, message: membership.MembersChanged, envelope: Envelope
) -> None:
    actions.note_members(session, message=message)


def acting_ended(session: Session, message: membership.ActingEnded, envelope: Envelope) -> None:
    actions.note_acting_ended(session, message=message, now=envelope.now)


def settings_applied(
    session: Session,
    message: billing.SettingsApplied | membership.SettingsApplied,
    envelope: Envelope,
) -> None:
    actions.note_settings_applied(
        session,
        provider_id=message.provider_id,
        service=message.producer(),
        version=message.version,
    )


def audit_recorded(session: Session, message: Any, envelope: Envelope) -> None:
    actions.note_trail(session, service=message.producer(), message=message, message_id=envelope.id)


LISTENERS: Listeners = {
    membership.ProviderCreated: provider_created,
    billing.AccountOpened: account_opened,
    membership.OwnerInvited: owner_invited,
    billing.AccountClosed: account_closed,
    billing.AccountNotClosed: account_not_closed,
    membership.AccessEnded: access_ended,
    billing.AccountSealed: account_sealed,
    billing.AccountNotSealed: account_not_sealed,
    membership.MembersErased: members_erased,
    billing.AccountReopened: account_reopened,
    membership.AccessRestored: access_restored,
    billing.BalanceChanged: balance_changed,
    membership.MembersChanged: members_changed,
    membership.ActingEnded: acting_ended,
    billing.SettingsApplied: settings_applied,
    membership.SettingsApplied: settings_applied,
    org.AuditRecorded: audit_recorded,
    billing.AuditRecorded: audit_recorded,
    membership.AuditRecorded: audit_recorded,
}


def _in_transaction(act: Callable[..., int]) -> Callable[[Database, datetime, Any], int]:
    def run(database: Database, now: datetime, _settings: Any) -> int:
        with database.transaction() as session:
            return act(session, now=now)

    return run


JOBS = (
    Job("purge_due", 0.5, _in_transaction(sagas.purge_due)),
    Job("ask_again", 5, _in_transaction(sagas.ask_again)),
    Job("say_receipts", 1, _in_transaction(actions.say_receipts)),
    Job("forget_revocations", 60, _in_transaction(sagas.forget_revocations)),
)
