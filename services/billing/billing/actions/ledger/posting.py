"""Posting: under the account's lock, rows into the journal and the buckets with them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from chassis import audit
from chassis.auth.actor import Actor
from chassis.errors import Conflict
from chassis.messaging import outbox
from chassis.runtime import clock, ids
from contracts import billing as said
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.accounts import alerts
from billing.actions.ledger.bulk_sql import insert_rows
from billing.models import Account, Entry, Spending, UnpublishedBalance
from billing.values import FROZEN, MAX_STORED, SPENDING_KINDS, Code, Transfer, format_money

_UNPUBLISHED: Any = UnpublishedBalance.__table__


class AccountClosed(Conflict):
    code = "account_closed"
    detail = "This account is closed. Activate the organization first."


class AccountFrozen(Conflict):
    code = "account_frozen"
    detail = "The organization is suspended, so it cannot be charged. Activate it first."


class AmountTooLarge(Conflict):
    code = "amount_too_large"
    detail = (
        "The balance would exceed twelve digits before the decimal point. Use a smaller amount."
    )


def lock_account(session: Session, organization_id: str, *, spending: bool = False) -> Account:
    """The account, locked until this transaction ends. Raises NoAccount, AccountClosed and, where
    this is about spending, AccountFrozen."""
    account = queries.get_account(session, organization_id, lock=True)
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
    payment_id: str | None = None,
    **words: Any,
) -> list[Entry]:
    """Post the transfers as one transaction and answer its rows. ``payment_id``: the payment that all of it is about;
    ``words``: what the first row says beside.

    Raises AmountTooLarge when a figure would no longer fit."""
    transaction_id, before, buckets, rows = ids.new("txn"), account.buckets, account.buckets, []
    usable = account.figures(now).usable
    for part, transfer in enumerate(transfers):
        buckets = buckets.after(transfer)
        account.seq += 1
        account.on_wallet += transfer.amount * (
            (transfer.debit == Code.WALLET) - (transfer.credit == Code.WALLET)
        )
        rows.append(
            Entry(
                organization_id=account.organization_id,
                seq=account.seq,
                transaction_id=transaction_id,
                part=part,
                provider_id=account.provider_id,
                currency=account.currency,
                kind=kind,
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
                payment_id=payment_id or transfer.payment_id,
                occurred_at=now,
                posted_at=now,
            )
        )
    account.set_buckets(buckets)
    check_range(account, now)
    for row in rows:
        row.balance_after = account.figures(now).balance
    rows[0].moved = buckets.net - before.net
    for name, value in words.items():
        setattr(rows[0], name, value)
    session.add_all(rows)
    if kind in SPENDING_KINDS and rows[0].moved:
        _note_spending(session, account, -rows[0].moved, now)
    if (
        kind != "mode_change"
    ):  # of which the posting is only a part: whoever changes terms watches all of it
        alerts.check_thresholds(session, account, usable, now)
    return rows


def check_range(account: Account, now: datetime) -> None:
    """Raise AmountTooLarge when a figure of the account has more than twelve digits before the
    point, or all that it did to the provider's balance is more than can be kept."""
    if not account.figures(now).is_in_range or abs(account.on_wallet) > MAX_STORED:
        raise AmountTooLarge()


def record(
    session: Session,
    account: Account,
    action: str,
    *,
    by: Actor,
    now: datetime,
    reason: str | None = None,
    target: dict[str, Any] | None = None,
    changes: list[dict[str, Any]] | None = None,
    outcome: str = "ok",
) -> None:
    """Write a row of the audit about this account."""
    audit.record(
        session,
        said.AuditRecorded,
        organization_id=account.organization_id,
        provider_id=account.provider_id,
        action=action,
        by=by,
        now=now,
        reason=reason,
        outcome=outcome,
        changes=changes,
        target=target or {"type": "account", "id": account.organization_id, "label": account.name},
    )


def record_transaction(
    session: Session,
    account: Account,
    action: str,
    rows: Sequence[Entry],
    *,
    by: Actor,
    now: datetime,
) -> None:
    """Write what was posted to the audit, and say the new figures."""
    first = rows[0]
    after, currency = first.balance_after, account.currency
    record(
        session,
        account,
        action,
        by=by,
        now=now,
        reason=first.reason or first.remark,
        target={
            "type": "transaction",
            "id": first.transaction_id,
            "label": first.description or first.kind,
        },
        changes=[
            {
                "field": "balance",
                "before": format_money(after - first.moved, currency),
                "after": format_money(after, currency),
            }
        ],
    )
    publish_balance(session, account, now)


def publish_balance(session: Session, account: Account, now: datetime) -> None:
    """Publish the account's figures."""
    figures, as_of = account.figures(now), account.stamp_publication(now)
    account.published_days_to_empty = queries.days_to_empty(session, account, now)
    schedule_recount(account, now)

    def money(amount: int) -> str:
        return format_money(amount, account.currency)

    outbox.publish(
        session,
        said.BalanceChanged(
            organization_id=account.organization_id,
            provider_id=account.provider_id,
            currency=account.currency,
            payment_mode=account.payment_mode,
            status=queries.public_status(account),
            usable_credits=money(figures.usable),
            balance=money(figures.balance),
            credit_limit=money(figures.limit),
            reserved_credits=money(account.held),
            amount_due=money(figures.amount_due),
            days_to_empty=account.published_days_to_empty,
            as_of=clock.stamp(as_of),
        ),
    )


def publish_balance_soon(session: Session, account: Account) -> None:
    """Have the account's figures said within a second, once for all that changes them until
    then."""
    insert_rows(
        session,
        _UNPUBLISHED,
        ("organization_id",),
        [(account.organization_id,)],
        conflict=lambda statement: statement.on_conflict_do_nothing(),
    )


def schedule_recount(account: Account, now: datetime) -> None:
    """Note that the days to empty said today must be counted anew tomorrow, if there are any."""
    account.days_due_on = (
        None
        if account.published_days_to_empty is None
        else queries.utc_day(now) + timedelta(days=1)
    )


def _note_spending(session: Session, account: Account, amount: int, now: datetime) -> None:
    """Add to what the account spends today. Its lock is held, so nobody else does."""
    key = {"organization_id": account.organization_id, "day": queries.utc_day(now)}
    spending = session.get(Spending, key)
    if spending is None:
        session.add(Spending(**key, amount=amount))
    else:
        spending.amount = min(spending.amount + amount, MAX_STORED)
