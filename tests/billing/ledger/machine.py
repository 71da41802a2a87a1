"""Everything that can be done to a few wallets, in any order, compared with an oracle."""

from tests.billing.ledger.account_rules import AccountRules
from tests.billing.ledger.driver import Clock
from tests.billing.ledger.invoice_rules import InvoiceRules
from tests.billing.ledger.money_rules import MoneyRules
from tests.billing.ledger.reservation_rules import ReservationRules
from tests.billing.ledger.usage_rules import UsageRules

__all__ = ["Clock", "Machine"]


class Machine(MoneyRules, ReservationRules, AccountRules, InvoiceRules, UsageRules):
    """All rules together."""
