"""Request and response bodies of billing's API."""

from billing.schemas.accounts import (
    Account,
    AccountPatch,
    Adjustment,
    Charge,
    ClosingCheck,
    TopUp,
    Withdrawal,
)
from billing.schemas.invoices import (
    CreditNote,
    Invoice,
    InvoicePage,
    InvoicesQuery,
    NewCreditNote,
    NewInvoice,
    VoidInvoice,
)
from billing.schemas.ledger_audit import LedgerProof
from billing.schemas.payments import (
    Allocate,
    Allocated,
    NewPayment,
    Payment,
    PaymentPage,
    PaymentPatch,
    Refund,
    Reversal,
)
from billing.schemas.reservations import (
    Capture,
    NewReservation,
    Release,
    Reservation,
    ReservationPage,
    ReservationsQuery,
)
from billing.schemas.states import States, StatesQuery
from billing.schemas.transactions import Transaction, TransactionPage, TransactionsQuery
from billing.schemas.usage import BadRecord, Usage, UsageOutcome, read_record
from billing.schemas.wallet import Wallet, WalletTopUp, WalletTransactionsQuery

__all__ = [
    "Account",
    "AccountPatch",
    "Adjustment",
    "Allocate",
    "Allocated",
    "BadRecord",
    "Capture",
    "Charge",
    "ClosingCheck",
    "CreditNote",
    "Invoice",
    "InvoicePage",
    "InvoicesQuery",
    "LedgerProof",
    "NewCreditNote",
    "NewInvoice",
    "NewPayment",
    "NewReservation",
    "Payment",
    "PaymentPage",
    "PaymentPatch",
    "Refund",
    "Release",
    "Reservation",
    "ReservationPage",
    "ReservationsQuery",
    "Reversal",
    "States",
    "StatesQuery",
    "TopUp",
    "Transaction",
    "TransactionPage",
    "TransactionsQuery",
    "Usage",
    "UsageOutcome",
    "VoidInvoice",
    "Wallet",
    "WalletTopUp",
    "WalletTransactionsQuery",
    "Withdrawal",
    "read_record",
]
