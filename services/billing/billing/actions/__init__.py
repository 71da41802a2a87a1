"""What can be done to accounts and to a provider's wallet. No action commits."""

from billing.actions.accounts.audit_log import record_denial
from billing.actions.accounts.closing import close_account, seal_account
from billing.actions.accounts.notifications import (
    publish_balances,
    publish_low_credits,
    recount_days_to_empty,
)
from billing.actions.accounts.opening import copy_organization, open_account
from billing.actions.accounts.payment_methods import remove_card
from billing.actions.accounts.providers import apply_settings, register_provider
from billing.actions.accounts.reports import report_state
from billing.actions.accounts.suspension import freeze_account, reopen_account
from billing.actions.accounts.terms import change_account, expire_credit_limits
from billing.actions.accounts.wallet import reverse_wallet_top_up, top_up_wallet
from billing.actions.charges.adjustments import adjust
from billing.actions.charges.auto_top_ups import record_failed_top_up, run_auto_top_up
from billing.actions.charges.charges import charge, charge_order
from billing.actions.charges.refunds import refund
from billing.actions.charges.reversals import reverse
from billing.actions.charges.top_ups import top_up
from billing.actions.invoicing.billing_run import flag_overdue_invoices, run_billing
from billing.actions.invoicing.credit_notes import issue_credit_note
from billing.actions.invoicing.invoices import issue_invoice
from billing.actions.invoicing.voiding import void_invoice
from billing.actions.ledger.engine import post_group
from billing.actions.ledger_audit import record_audit_batch
from billing.actions.payments.assignment import allocate
from billing.actions.payments.payments import record_payment
from billing.actions.payments.reassignment import assign_payment
from billing.actions.payments.withdrawals import withdraw
from billing.actions.reservations.expiry import expire_reservations
from billing.actions.reservations.reservations import (
    capture,
    capture_order,
    release,
    release_order,
    reserve,
    reserve_order,
    show_reservation_after,
)
from billing.actions.usage.batches import record_usage_batch
from billing.actions.usage.messages import record_usage_messages
from billing.actions.usage.records import ACCEPTED, DUPLICATE, record_usage

__all__ = [
    "ACCEPTED",
    "DUPLICATE",
    "adjust",
    "allocate",
    "apply_settings",
    "assign_payment",
    "capture",
    "capture_order",
    "change_account",
    "charge",
    "charge_order",
    "close_account",
    "copy_organization",
    "expire_credit_limits",
    "expire_reservations",
    "flag_overdue_invoices",
    "freeze_account",
    "issue_credit_note",
    "issue_invoice",
    "open_account",
    "post_group",
    "publish_balances",
    "publish_low_credits",
    "record_audit_batch",
    "record_denial",
    "record_failed_top_up",
    "record_payment",
    "record_usage",
    "record_usage_batch",
    "record_usage_messages",
    "recount_days_to_empty",
    "refund",
    "register_provider",
    "release",
    "release_order",
    "remove_card",
    "reopen_account",
    "report_state",
    "reserve",
    "reserve_order",
    "reverse",
    "reverse_wallet_top_up",
    "run_auto_top_up",
    "run_billing",
    "seal_account",
    "show_reservation_after",
    "top_up",
    "top_up_wallet",
    "void_invoice",
    "withdraw",
]
