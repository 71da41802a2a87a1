"""The payment port: the methods by which a customer's money comes and goes. Who plugs in a provider
of card payments puts its method into ``METHODS``."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from chassis.auth.actor import Actor
from chassis.errors import Conflict, NotFound
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger import posting
from billing.models import Account
from billing.values import CARD, ISSUE, Code


class PaymentMethodMissing(Conflict):
    code = "payment_method_missing"
    detail = "This account has no stored card. Use another method."


class NoPaymentMethod(NotFound):
    code = "no_payment_method"
    detail = "This account has no stored card."


class Method(Protocol):
    """One way of paying."""

    @property
    def source(self) -> Code:
        """The provider's account that such money comes from, and goes back to."""

    def check(self, account: Account) -> None:
        """Raise a Conflict when this account, which is locked, can't be paid this way."""


@dataclass(frozen=True)
class Direct:
    """Somebody takes the money, or gives it, and says so here."""

    source: Code

    def check(self, account: Account) -> None:
        """Every account can be paid so."""


class NoCards:
    """Cards, as long as no provider of card payments is plugged in."""

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
    """Where money of this method comes from. Raises PaymentMethodMissing when the account can't be
    paid so."""
    METHODS[method].check(account)
    return METHODS[method].source


def method_label(method: str) -> str:
    """Its name within a sentence."""
    return method.replace("_", " ")


def remove_card(session: Session, *, organization_id: str, now: datetime, by: Actor) -> None:
    """Forget the stored card, also of a closed account; an automatic top-up by card is switched off
    with it.

    Raises NoAccount, NoPaymentMethod."""
    account = queries.get_account(session, organization_id, lock=True)
    if not account.payment_method:
        raise NoPaymentMethod()
    account.payment_method = None
    changes: list[dict[str, Any]] = [{"field": "payment_method", "before": CARD, "after": None}]
    if account.auto_enabled and account.auto_method == CARD:
        account.auto_enabled = False
        changes.append({"field": "auto_top_up.enabled", "before": True, "after": False})
    posting.record(
        session, account, "account.payment_method_removed", by=by, now=now, changes=changes
    )
