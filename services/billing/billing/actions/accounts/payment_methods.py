"""The methods by which a customer's money comes in and goes out.

To connect a card payment provider, put its method into ``METHODS``.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from chassis.auth.actor import Actor
from chassis.errors import Conflict, NotFound
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log
from billing.models import Account
from billing.values import CARD, ISSUE, Code


class PaymentMethodMissing(Conflict):
    code = "payment_method_missing"
    detail = "This account has no stored card. Use another method."


class NoPaymentMethod(NotFound):
    code = "no_payment_method"
    detail = "This account has no stored card."


class Method(Protocol):
    """A payment method."""

    @property
    def source(self) -> Code:
        """The provider's account that this money comes from and goes back to."""

    def check(self, account: Account) -> None:
        """Raise a Conflict if the account, which is locked, cannot be paid this way."""


@dataclass(frozen=True)
class Direct:
    """Money that changes hands outside the system and is recorded here."""

    source: Code

    def check(self, account: Account) -> None:
        """Any account can be paid this way."""


class NoCards:
    """Cards, until a card payment provider is connected."""

    source = Code.WALLET

    def check(self, account: Account) -> None:
        """Raise PaymentMethodMissing."""
        raise PaymentMethodMissing()


METHODS: dict[str, Method] = {
    "cash": Direct(Code.OFFLINE),
    "cheque": Direct(Code.OFFLINE),
    "bank_transfer": Direct(Code.OFFLINE),
    CARD: NoCards(),
    ISSUE: Direct(Code.ISSUED),
}


def check(account: Account, method: str) -> Code:
    """The provider's account for money paid by this method. Raises PaymentMethodMissing."""
    METHODS[method].check(account)
    return METHODS[method].source


def method_label(method: str) -> str:
    """Its name within a sentence."""
    return method.replace("_", " ")


def remove_card(session: Session, *, organization_id: str, now: datetime, by: Actor) -> None:
    """Delete the stored card, also of a closed account.

    An automatic top-up by card is switched off. Raises NoAccount, NoPaymentMethod.
    """
    account = queries.get_account(session, organization_id, lock=True)
    if not account.payment_method:
        raise NoPaymentMethod()
    account.payment_method = None
    changes: list[dict[str, Any]] = [{"field": "payment_method", "before": CARD, "after": None}]
    if account.auto_enabled and account.auto_method == CARD:
        account.auto_enabled = False
        changes.append({"field": "auto_top_up.enabled", "before": True, "after": False})
    audit_log.record(
        session, account, "account.payment_method_removed", by=by, now=now, changes=changes
    )
