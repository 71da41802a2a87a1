"""Posting: journal rows and the buckets they change, under the account's lock."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis.auth.actor import Actor
from chassis.runtime import ids
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts
from billing.actions.ledger.refusals import AccountClosed, AccountFrozen, AmountTooLarge
from billing.models import Account, Buckets, Entry, Spending
from billing.values import FROZEN, MAX_STORED, SPENDING_KINDS, Code, Transfer


def lock_account(
    session: Session,
    organization_id: str,
    *,
    spending: bool = False,
    provider_id: str | None = None,
) -> Account:
    """The account, locked until this transaction ends. ``spending``: it is about to be charged.
    ``provider_id``: the provider that it must belong to; None if that was checked.

    Raises NoAccount, AccountClosed and, for spending, AccountFrozen.
    """
    account = queries.get_account(session, organization_id, lock=True)
    if provider_id is not None and account.provider_id != provider_id:
        raise queries.NoAccount()
    if account.is_closed:
        raise AccountClosed()
    if spending and account.status == FROZEN:
        raise AccountFrozen()
    return account


def post(
    session: Session,
    account: Account,
    transfers: Sequence[Transfer],
    *,
    kind: str,
    now: datetime,
    by: Actor,
    payment_id: str | None = None,
    **fields: Any,
) -> list[Entry]:
    """Post the transfers as one transaction and return its rows.

    ``payment_id``: the payment that all transfers belong to. ``fields``: further columns of the
    first row. Raises AmountTooLarge if a figure would not fit.
    """
    transaction_id = ids.new("txn")
    before = buckets = account.buckets
    usable_before = account.figures(now).usable
    rows = []
    for part, transfer in enumerate(transfers):
        buckets = buckets.after(transfer)
        account.seq += 1
        account.on_wallet += _wallet_effect(transfer)
        row = _entry(account, transfer, buckets, transaction_id, part)
        row.kind = kind
        row.payment_id = payment_id or transfer.payment_id
        row.occurred_at = row.posted_at = now
        rows.append(row)
    account.set_buckets(buckets)
    check_range(account, now)
    balance = account.figures(now).balance
    for row in rows:
        row.balance_after = balance
    first = rows[0]
    first.moved = buckets.net - before.net
    first.actor_kind, first.actor_id = by.kind, by.id
    for name, value in fields.items():
        setattr(first, name, value)
    session.add_all(rows)
    if kind in SPENDING_KINDS and first.moved:
        _add_to_spending(session, account, -first.moved, now)
    # A change of payment mode is part of a change of terms, which checks the thresholds at its end.
    if kind != "mode_change":
        alerts.check_thresholds(session, account, usable_before, now)
    return rows


def check_range(account: Account, now: datetime) -> None:
    """Raise AmountTooLarge if a figure has more than twelve digits before the decimal point.

    Or if the account's total effect on the provider's balance is larger than can be stored.
    """
    if not account.figures(now).is_in_range or abs(account.on_wallet) > MAX_STORED:
        raise AmountTooLarge()


def _wallet_effect(transfer: Transfer) -> int:
    if transfer.debit == Code.WALLET:
        return transfer.amount
    if transfer.credit == Code.WALLET:
        return -transfer.amount
    return 0


def _entry(
    account: Account, transfer: Transfer, buckets: Buckets, transaction_id: str, part: int
) -> Entry:
    return Entry(
        organization_id=account.organization_id,
        seq=account.seq,
        transaction_id=transaction_id,
        part=part,
        provider_id=account.provider_id,
        currency=account.currency,
        debit=transfer.debit,
        credit=transfer.credit,
        amount=transfer.amount,
        moved=0,
        balance_after=0,
        prepaid_after=buckets.prepaid,
        surplus_after=buckets.surplus,
        unbilled_after=buckets.unbilled,
        invoiced_after=buckets.invoiced,
        held_after=buckets.held,
        invoice_id=transfer.invoice_id,
    )


def _add_to_spending(session: Session, account: Account, amount: int, now: datetime) -> None:
    key = {"organization_id": account.organization_id, "day": queries.utc_day(now)}
    spending = session.get(Spending, key)
    if spending is None:
        session.add(Spending(**key, amount=amount))
    else:
        spending.amount = min(spending.amount + amount, MAX_STORED)
