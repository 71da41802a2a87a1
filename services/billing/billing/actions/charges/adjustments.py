"""Corrections of an account by hand, and where what is in the customer's favour goes."""

from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger import posting
from billing.actions.payments import allocation
from billing.models import Account
from billing.values import Code, Transfer

_SETTLES = {"write_off": Code.WRITE_OFF, "correction": Code.CORRECTION, "goodwill": Code.GOODWILL}


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
    """Correct the account by a signed amount, whatever its limit; the transaction.

    On a postpaid account an amount in the customer's favour comes off the open invoices, oldest
    first, then off what is unbilled, and what is over adds to the surplus; one against the customer
    takes from the surplus first. Raises NoAccount, AccountClosed, AmountTooLarge."""
    account = posting.lock_account(session, organization_id)
    settles = _SETTLES[kind]
    if amount > 0:
        transfers = allocation.settle(settles, allocation.open_invoices(session, account), amount)
        transfers += credit_customer(
            account, settles, amount - sum(transfer.amount for transfer in transfers)
        )
    else:
        transfers = _against(account, settles, -amount)
    rows = posting.post(
        session,
        account,
        transfers,
        kind=kind,
        now=now,
        reason=reason,
        description=kind.replace("_", "-").capitalize(),
    )
    posting.record_transaction(session, account, "account.adjusted", rows, by=by, now=now)
    allocation.update_invoices(session, account, rows, now)
    return queries.show_transaction(rows, account.currency, staff=True)


def credit_customer(account: Account, source: Code, amount: int) -> list[Transfer]:
    """What brings an amount to the customer where no invoice asks for it: postpaid, off what is
    unbilled, and what is over into the surplus."""
    cleared = min(amount, account.unbilled)
    parts = ((Code.UNBILLED, cleared), (account.deposit_bucket, amount - cleared))
    return [Transfer(source, code, part) for code, part in parts if part]


def _against(account: Account, goes_to: Code, amount: int) -> list[Transfer]:
    taken = min(amount, account.surplus)
    parts = ((Code.SURPLUS, taken), (account.charge_bucket, amount - taken))
    return [Transfer(code, goes_to, part) for code, part in parts if part]
