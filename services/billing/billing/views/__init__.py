"""Billing's HTTP door."""

from billing.views import account, internal, transactions, wallet

BLUEPRINTS = (account.blp, transactions.blp, wallet.blp, internal.blp)
