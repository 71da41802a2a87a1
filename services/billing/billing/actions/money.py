"""Money in, money out, charges and adjustments of one account."""

from datetime import datetime
from typing import Any

from chassis.actor import Actor
from chassis.errors import Conflict
from sqlalchemy.orm import Session

from billing import queries
from billing.actions import ledger, providers
from billing.models import Account
from billing.values import CARD, ISSUE, Code, Transfer, format_money

_COMES_FROM = {CARD: Code.WALLET, ISSUE: Code.ISSUED}
_SETTLES = {"write_off": Code.WRITE_OFF, "correction": Code.CORRECTION, "goodwill": Code.GOODWILL}


class InsufficientCredits(Conflict):
    """The account does not have enough credits for this. Top it up or use a smaller amount."""


class PaymentMethodMissing(Conflict):
    """This account has no stored card. Use another method."""


class ProviderCreditsInsufficient(Conflict):
    """Your own usable credits do not cover this issue. Top up your wallet first."""


def top_up(
    session: Session, *, organization_id: str, amount: int, method: str, now: datetime, by: Actor,
    reference: str | None = None, remark: str | None = None,
) -> dict[str, Any]:
    """Credit the account with money that came by ``method``; the transaction.

    Raises NoAccount, AccountClosed, PaymentMethodMissing, ProviderCreditsInsufficient, AmountTooLarge."""
    if method == ISSUE:
        providers.lock_wallet_of(session, organization_id)
    account = ledger.take(session, organization_id)
    check_card(account, method)
    if method == ISSUE:
        _check_provider(session, account, amount)
    transfer = Transfer(_COMES_FROM.get(method, Code.OFFLINE), account.paying_in, amount)
    account.last_top_up = amount
    rows = ledger.post(
        session, account, [transfer], kind="top_up", now=now, method=method, reference=reference, remark=remark,
        description=f"Top-up by {_spoken(method)}",
    )
    ledger.record_transaction(session, account, "account.topped_up", rows, by=by, now=now)
    return queries.show_transaction(rows, account.currency, staff=True)


def withdraw(
    session: Session, *, organization_id: str, amount: int, method: str, reason: str, now: datetime, by: Actor,
    reference: str | None = None,
) -> dict[str, Any]:
    """Pay money out; the transaction. Raises NoAccount, AccountClosed, PaymentMethodMissing, InsufficientCredits."""
    account = ledger.take(session, organization_id)
    check_card(account, method)
    there = account.figures(now).withdrawable
    if amount > there:
        raise InsufficientCredits(
            "There is less to withdraw than this. Use a smaller amount.",
            shortfall=format_money(amount - there, account.currency),
            withdrawable=format_money(there, account.currency),
        )
    transfer = Transfer(account.paying_in, _COMES_FROM.get(method, Code.OFFLINE), amount)
    rows = ledger.post(
        session, account, [transfer], kind="withdrawal", now=now, method=method, reference=reference, reason=reason,
        description=f"Withdrawal by {_spoken(method)}",
    )
    ledger.record_transaction(session, account, "account.withdrawn", rows, by=by, now=now)
    return queries.show_transaction(rows, account.currency, staff=True)


def charge(
    session: Session, *, organization_id: str, amount: int, kind: str, description: str, now: datetime, by: Actor,
    cost: int = 0, external_invoice: str | None = None,
) -> dict[str, Any]:
    """Charge the account, and the provider what it costs; the transaction. On an external invoice it is noted and
    moves no money, neither the customer's nor the provider's.

    Raises NoAccount, AccountClosed, AccountFrozen, InsufficientCredits, AmountTooLarge."""
    account = ledger.take(session, organization_id, spending=True)
    if external_invoice is not None:
        transfers = [Transfer(Code.BILLED_ELSEWHERE, Code.REVENUE, amount)]
    else:
        _check_covered(account, amount, now)
        transfers = [Transfer(account.spending, Code.REVENUE, amount)]
        transfers += [Transfer(Code.COST, Code.WALLET, cost)] if cost else []
    rows = ledger.post(
        session, account, transfers, kind=kind, now=now, description=description, external_invoice=external_invoice,
    )
    ledger.record_transaction(session, account, "account.charged", rows, by=by, now=now)
    return queries.show_transaction(rows, account.currency, staff=True)


def adjust(
    session: Session, *, organization_id: str, amount: int, kind: str, reason: str, now: datetime, by: Actor
) -> dict[str, Any]:
    """Correct the account by a signed amount, whatever its limit; the transaction.

    On a postpaid account an amount in the customer's favour first clears what is unbilled and then adds to the
    surplus, one against the customer takes from the surplus first. Raises NoAccount, AccountClosed, AmountTooLarge."""
    account = ledger.take(session, organization_id)
    settles = _SETTLES[kind]
    if amount > 0:
        transfers = [Transfer(settles, code, part) for code, part in _in_favour(account, amount)]
    else:
        transfers = [Transfer(code, settles, part) for code, part in _against(account, -amount)]
    rows = ledger.post(
        session, account, transfers, kind=kind, now=now, reason=reason,
        description=kind.replace("_", "-").capitalize(),
    )
    ledger.record_transaction(session, account, "account.adjusted", rows, by=by, now=now)
    return queries.show_transaction(rows, account.currency, staff=True)


def check_card(account: Account, method: str | None) -> None:
    """Raise PaymentMethodMissing when the card is to be used and there is none."""
    if method == CARD and not account.payment_method:
        raise PaymentMethodMissing()


def _check_covered(account: Account, amount: int, now: datetime) -> None:
    figures = account.figures(now)
    shortfall = amount - figures.usable
    if shortfall > 0:
        raise InsufficientCredits(
            shortfall=format_money(shortfall, account.currency),
            cure={
                "top_up": format_money(shortfall + figures.curing_top_up, account.currency),
                "credit_limit": format_money(figures.limit + shortfall, account.currency),
            },
        )


def _check_provider(session: Session, account: Account, amount: int) -> None:
    usable = queries.purse(session, account.provider_id, account.currency).usable
    if amount > usable:
        raise ProviderCreditsInsufficient(
            shortfall=format_money(amount - usable, account.currency),
            usable=format_money(usable, account.currency),
        )


def _in_favour(account: Account, amount: int) -> list[tuple[Code, int]]:
    cleared = min(amount, account.unbilled)
    return [part for part in ((Code.UNBILLED, cleared), (account.paying_in, amount - cleared)) if part[1]]


def _against(account: Account, amount: int) -> list[tuple[Code, int]]:
    taken = min(amount, account.surplus)
    return [part for part in ((Code.SURPLUS, taken), (account.spending, amount - taken)) if part[1]]


def _spoken(method: str) -> str:
    return method.replace("_", " ")
