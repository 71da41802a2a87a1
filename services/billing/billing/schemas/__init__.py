"""What crosses billing's door."""

from billing.schemas.accounts import Account, AccountPatch, Adjustment, Charge, ClosingCheck, TopUp, Withdrawal
from billing.schemas.transactions import Transaction, TransactionPage, TransactionsQuery
from billing.schemas.wallet import Wallet, WalletTopUp

__all__ = [
    "Account", "AccountPatch", "Adjustment", "Charge", "ClosingCheck", "TopUp", "Transaction", "TransactionPage",
    "TransactionsQuery", "Wallet", "WalletTopUp", "Withdrawal",
]
