"""Manual corrections of an account."""

from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.errors import Conflict
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import audit_log
from billing.actions.ledger import posting
from billing.actions.ledger.refusals import InsufficientCredits
from billing.actions.payments import allocation
from billing.models import Account
from billing.values import Code, Transfer, format_money

_CONTRA_ACCOUNTS = {
    "write_off": Code.WRITE_OFF,
    "correction": Code.CORRECTION,
    "goodwill": Code.GOODWILL,
}


class WriteOffExceedsDebt(Conflict):
    code = "write_off_exceeds_debt"
    detail = "The write-off is higher than the debt. Write off no more than the customer owes."


def adjust(
    session: Session,
    *,
    organization_id: str,
    amount: int,
    kind: str,
    reason: str,
    now: datetime,
    by: Actor,
) -> dict[str, Any]:
    """Correct the account by a signed amount, whatever its limit; returns the transaction.

    On a postpaid account a positive amount credits the open invoices, oldest first, then the
    unbilled amount, and any excess adds to the surplus; a negative amount is taken from the surplus
    first. A write-off ends debt, or credit, and makes none. Raises NoAccount, AccountClosed,
    WriteOffExceedsDebt, InsufficientCredits, AmountTooLarge.
    """
    account = posting.lock_account(session, organization_id)
    if kind == "write_off":
        _check_write_off(account, amount, now)
    contra = _CONTRA_ACCOUNTS[kind]
    if amount > 0:
        invoices = allocation.open_invoices(session, account)
        transfers = allocation.settle(contra, invoices, amount)
        rest = amount - sum(transfer.amount for transfer in transfers)
        transfers += credit_customer(account, contra, rest)
    else:
        transfers = _debit_customer(account, contra, -amount)
    rows = posting.post(
        session,
        account,
        transfers,
        kind=kind,
        now=now,
        by=by,
        reason=reason,
        description=kind.replace("_", "-").capitalize(),
    )
    audit_log.record_transaction(session, account, "account.adjusted", rows, by=by, now=now)
    allocation.update_invoices(session, account, rows, now)
    return queries.show_transaction(rows, account.currency, staff=True)


def _check_write_off(account: Account, amount: int, now: datetime) -> None:
    figures = account.figures(now)
    if amount > figures.debt:
        raise WriteOffExceedsDebt(debt=format_money(figures.debt, account.currency))
    if -amount > figures.withdrawable:
        credit = format_money(figures.withdrawable, account.currency)
        raise InsufficientCredits(
            "The write-off is higher than the credit. Write off no more than that.", credit=credit
        )


def credit_customer(account: Account, source: Code, amount: int) -> list[Transfer]:
    """Credit an amount that no invoice takes: the unbilled amount first, then the balance."""
    cleared = min(amount, account.unbilled)
    parts = ((Code.UNBILLED, cleared), (account.deposit_bucket, amount - cleared))
    return [Transfer(source, code, part) for code, part in parts if part]


def _debit_customer(account: Account, destination: Code, amount: int) -> list[Transfer]:
    taken = min(amount, account.surplus)
    parts = ((Code.SURPLUS, taken), (account.charge_bucket, amount - taken))
    return [Transfer(code, destination, part) for code, part in parts if part]
