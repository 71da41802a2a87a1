"""What can be known: a module per thing, all of it read from here."""

from billing.queries.accounts import (
    BURN_DAYS,
    FAR,
    NoAccount,
    account,
    blockers,
    day_of,
    days_to_empty,
    ended_limits,
    patchable,
    provider_of,
    show_account,
    shown_status,
    uncounted_days,
)
from billing.queries.journal import (
    BATCH,
    NoTransaction,
    show_page,
    show_transaction,
    transaction,
    transactions,
    transactions_before,
)
from billing.queries.wallet import Purse, purse, purses

__all__ = [
    "BATCH", "BURN_DAYS", "FAR", "NoAccount", "NoTransaction", "Purse", "account", "blockers", "day_of",
    "days_to_empty", "ended_limits", "patchable", "provider_of", "purse", "purses", "show_account", "show_page",
    "show_transaction", "shown_status", "transaction", "transactions", "transactions_before", "uncounted_days",
]
