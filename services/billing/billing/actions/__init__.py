"""What can be done to accounts and to a provider's wallet. Nothing here commits."""

from billing.actions.accounts import (
    change_account,
    copy_organization,
    count_days,
    end_limits,
    freeze_account,
    open_account,
    record_denial,
    reopen_account,
)
from billing.actions.closing import close_account, seal_account
from billing.actions.money import adjust, charge, top_up, withdraw
from billing.actions.providers import apply_settings, remember_provider, top_up_wallet

__all__ = [
    "adjust", "apply_settings", "change_account", "charge", "close_account", "copy_organization", "count_days",
    "end_limits", "freeze_account", "open_account", "record_denial", "remember_provider", "reopen_account",
    "seal_account", "top_up", "top_up_wallet", "withdraw",
]
