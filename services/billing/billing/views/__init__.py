"""Billing's HTTP door."""

from billing.views import (
    account,
    internal,
    invoices,
    payments,
    pdf,
    proof,
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
    proof.blp,
    internal.blp,
)
