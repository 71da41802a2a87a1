"""What can be done to an organization alone. What needs other services is in ``sagas``."""

from org.actions import client_addresses
from org.actions.history import (
    add_to_trail,
    erase_history,
    erase_more_people,
    erase_people,
    record,
    record_denial,
)
from org.actions.organizations import (
    change_organization,
    change_status,
    create_organization,
    create_provider,
    suspend_organization,
)
from org.actions.projection import note_failed_top_up, update_balances, update_members
from org.actions.receipts import publish_receipts, schedule_receipt
from org.actions.reconciliation import advance_pass, delete_unanswered
from org.actions.revocations import delete_expired_revocations, revoke
from org.actions.settings import change_settings, mark_settings_applied

__all__ = [
    "add_to_trail",
    "advance_pass",
    "change_organization",
    "change_settings",
    "change_status",
    "client_addresses",
    "create_organization",
    "create_provider",
    "delete_expired_revocations",
    "delete_unanswered",
    "erase_history",
    "erase_more_people",
    "erase_people",
    "mark_settings_applied",
    "note_failed_top_up",
    "publish_receipts",
    "record",
    "record_denial",
    "revoke",
    "schedule_receipt",
    "suspend_organization",
    "update_balances",
    "update_members",
]
