"""Billing's tables, and the rules each row enforces itself."""

from billing.models.account import Account
from billing.models.allocation import Allocation, Source
from billing.models.figures import Blocker, Buckets, Figures
from billing.models.invoice import CreditNote, Invoice, Payment
from billing.models.journal import Entry
from billing.models.ledger_audit import LedgerAudit
from billing.models.pending import LowCredit, TopUpOrder, UnpublishedBalance
from billing.models.provider import Provider
from billing.models.reservation import Reservation
from billing.models.spending import Spending
from billing.models.table import Base

__all__ = [
    "Account",
    "Allocation",
    "Base",
    "Blocker",
    "Buckets",
    "CreditNote",
    "Entry",
    "Figures",
    "Invoice",
    "LedgerAudit",
    "LowCredit",
    "Payment",
    "Provider",
    "Reservation",
    "Source",
    "Spending",
    "TopUpOrder",
    "UnpublishedBalance",
]
