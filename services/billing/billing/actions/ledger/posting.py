"""Posting: journal rows and the buckets they change, under the account's lock."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from chassis.auth.actor import Actor
from chassis.runtime import ids
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts
from billing.actions.ledger import sources
from billing.actions.ledger.entries import Posted, enter
from billing.actions.ledger.refusals import AccountClosed, AccountFrozen, AmountTooLarge
from billing.models import Account, Entry, Spending
from billing.models.decisions import Posting, Refusal, within_range
from billing.models.snapshot import CHANGED, READ, Snapshot
from billing.values import FROZEN, MAX_STORED, Transfer


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
    account = queries.get_account(session, organization_id, lock=True, provider_id=provider_id)
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
    description: str,
    payment_id: str | None = None,
    **fields: Any,
) -> list[Entry]:
    """Post the transfers as one transaction and return its rows, which the session writes.

    ``payment_id``: the payment that it is about. ``fields``: further columns of the first row.
    Raises AmountTooLarge if a figure would not fit.
    """
    snapshot = _snapshot_of(account, now)
    admitted = within_range(snapshot, Posting(kind, tuple(transfers), description))
    if isinstance(admitted, Refusal):
        raise AmountTooLarge()
    usable_before = snapshot.usable
    posted = enter(snapshot, admitted, by=by, now=now)
    for name in CHANGED:
        setattr(account, name, getattr(snapshot, name))
    rows = _entries(account, posted, payment_id)
    for name, value in fields.items():
        setattr(rows[0], name, value)
    session.add_all(rows)
    sources.note_all(session, [posted], payment_id=payment_id)
    if snapshot.spent:
        _add_to_spending(session, account, snapshot.spent, now)
    # A change of payment mode is part of a change of terms, which checks the thresholds at its end.
    if kind != "mode_change":
        alerts.check_thresholds(session, account, usable_before, now)
    return rows


def _snapshot_of(account: Account, now: datetime) -> Snapshot:
    return Snapshot.of(
        ids.to_uuid("org", account.organization_id),
        ids.to_uuid("org", account.provider_id),
        0,  # thresholds are checked on the account
        attrgetter(*READ)(account),
        now,
    )


def check_range(account: Account, now: datetime) -> None:
    """Raise AmountTooLarge if a figure has more than twelve digits before the decimal point."""
    if not account.figures(now).is_in_range:
        raise AmountTooLarge()


def _entries(account: Account, posted: Posted, payment_id: str | None) -> list[Entry]:
    rows = []
    for row, transfer in zip(posted.rows, posted.posting.transfers, strict=True):
        texts = {
            "organization_id": account.organization_id,
            "provider_id": account.provider_id,
            "transaction_id": ids.of_uuid("txn", row.transaction_id),
            "invoice_id": transfer.invoice_id,
            "payment_id": payment_id,
        }
        rows.append(Entry(**{**row._asdict(), **texts}))
    return rows


def _add_to_spending(session: Session, account: Account, amount: int, now: datetime) -> None:
    key = {"organization_id": account.organization_id, "day": queries.utc_day(now)}
    spending = session.get(Spending, key)
    if spending is None:
        session.add(Spending(**key, amount=amount))
    else:
        spending.amount = min(spending.amount + amount, MAX_STORED)
