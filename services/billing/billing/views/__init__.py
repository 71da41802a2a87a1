"""Billing's HTTP API."""

from billing.views import (
    account,
    internal,
    invoices,
    ledger_audit,
    payments,
    pdf,
    reservations,
    transactions,
    usage,
    wallet,
)

BLUEPRINTS = (
    account.blp,
    reservations.blp,
    payments.blp,
    invoices.blp,
    pdf.blp,
    transactions.blp,
    usage.blp,
    wallet.blp,
    ledger_audit.blp,
    internal.blp,
)
