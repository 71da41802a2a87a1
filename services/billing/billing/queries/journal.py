"""What can be known about transactions."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from chassis.errors import NotFound
from chassis.runtime import ids
from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import Session

from billing.models import Account, Entry
from billing.models.journal import FIRST, FIRST_AND_IN, FIRST_AND_RARE
from billing.queries.accounts import account
from billing.values import ADJUSTMENT_KINDS, SPENDING_KINDS, Code, format_money

EXPORT_BATCH = 500
GROUPS = {"charge": SPENDING_KINDS, "adjustment": ADJUSTMENT_KINDS}
SETTLED_WITH_THE_PROVIDER = {Code.COST, Code.WALLET}


class NoTransaction(NotFound):
    code = "not_found"
    detail = "There is no such transaction on this account."


def transactions(
    organization_id: str,
    *,
    kind: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    direction: str | None = None,
) -> Select[Any]:
    """The first rows of an organization's transactions, newest first. ``kind``: a kind or a group of them;
    ``since`` is included, ``until`` is not; ``direction``: ``in`` or ``out``, seen from the customer."""
    query = select(Entry).where(Entry.organization_id == organization_id).order_by(Entry.seq.desc())
    kinds = GROUPS.get(kind, (kind,)) if kind else ()
    query = query.where(text(FIRST_AND_RARE if kinds and "usage" not in kinds else FIRST))
    if kinds:
        query = query.where(Entry.kind.in_(kinds))
    if since:
        query = query.where(Entry.occurred_at >= since)
    if until:
        query = query.where(Entry.occurred_at < until)
    if direction:
        query = query.where(text(FIRST_AND_IN) if direction == "in" else Entry.moved < 0)
    return query


def show_transactions(
    session: Session, found: Account, rows: Sequence[Entry], *, staff: bool
) -> list[dict[str, Any]]:
    """First rows as transactions. ``staff``: with what they cost the provider."""
    known = (
        provider_costs(session, [(row.organization_id, row.transaction_id) for row in rows])
        if staff
        else None
    )
    return [_show(row, found.currency, known) for row in rows]


def transactions_batch(
    session: Session, found: Account, seq: int | None, *, staff: bool, **filters: Any
) -> tuple[list[dict[str, Any]], int | None]:
    """The next batch of the transactions the filters leave, newest first, and where the one after
    it begins; the first begins at None."""
    query = transactions(found.organization_id, **filters).limit(EXPORT_BATCH)
    rows = session.scalars(query if seq is None else query.where(Entry.seq < seq)).all()
    return show_transactions(session, found, rows, staff=staff), rows[-1].seq if rows else None


def transaction(
    session: Session, *, organization_id: str, transaction_id: str, staff: bool
) -> dict[str, Any]:
    """One transaction with its entries. Raises NoAccount, NoTransaction."""
    found = account(session, organization_id)
    return show_transaction(
        rows_of(session, organization_id, transaction_id), found.currency, staff=staff
    )


def rows_of(session: Session, organization_id: str, transaction_id: str) -> Sequence[Entry]:
    """The rows of one transaction. Raises NoTransaction."""
    if not ids.is_id("txn", transaction_id):
        raise NoTransaction()
    rows = session.scalars(
        select(Entry)
        .where(Entry.organization_id == organization_id, Entry.transaction_id == transaction_id)
        .order_by(Entry.part)
    ).all()
    if not rows:
        raise NoTransaction()
    return rows


def cost_of(rows: Sequence[Entry]) -> int:
    """What a transaction cost the provider; below zero where it brings the cost of a charge
    back."""
    return sum(
        row.amount if row.debit == Code.COST else -row.amount for row in rows if _is_cost(row)
    )


def refunded_or_reversed(session: Session, organization_id: str, transaction_id: str) -> int | None:
    """What the refunds of a charge, or the reversal of another transaction, have moved in all, in
    the customer's favour; None when there are none. Exact for whoever holds the account's lock."""
    moved = session.scalar(
        select(func.sum(Entry.moved)).where(
            Entry.organization_id == organization_id, Entry.refunded_id == transaction_id
        )
    )
    return None if moved is None else int(moved)


def show_transaction(rows: Sequence[Entry], currency: str, *, staff: bool) -> dict[str, Any]:
    """A transaction with its entries, unfolded from its rows; cost and its entries for staff
    only."""
    shown = _show(rows[0], currency, {rows[0].transaction_id: cost_of(rows)} if staff else None)
    shown["entries"] = [
        line
        for row in rows
        if staff or not _is_cost(row)
        for line in (
            _leg(row.debit, row.amount, 0, currency),
            _leg(row.credit, 0, row.amount, currency),
        )
    ]
    return shown


def provider_costs(session: Session, transactions: Collection[tuple[str, str]]) -> dict[str, int]:
    """What each of these transactions, named by organization and id, cost the provider."""
    if not transactions:
        return {}
    found = session.execute(
        select(Entry.transaction_id, Entry.amount, Entry.debit).where(
            Entry.organization_id.in_({organization_id for organization_id, _ in transactions}),
            Entry.transaction_id.in_({transaction_id for _, transaction_id in transactions}),
            Entry.debit.in_(SETTLED_WITH_THE_PROVIDER),
            Entry.credit.in_(SETTLED_WITH_THE_PROVIDER),
        )
    )
    return {
        row.transaction_id: row.amount if row.debit == Code.COST else -row.amount for row in found
    }


def _is_cost(row: Entry) -> bool:
    return {row.debit, row.credit} == SETTLED_WITH_THE_PROVIDER


def _show(row: Entry, currency: str, costs: dict[str, int] | None) -> dict[str, Any]:
    """A transaction as people see it, from its first row; ``costs`` None: they are not for this
    reader."""
    shown = {
        "id": row.transaction_id,
        "organization_id": row.organization_id,
        "kind": row.kind,
        "amount": format_money(row.moved, currency),
        "currency": currency,
        "balance_after": format_money(row.balance_after, currency),
        "description": row.description,
        "method": row.method,
        "reference": row.reference,
        "remark": row.remark,
        "reason": row.reason,
        "external_invoice": row.external_invoice,
        "occurred_at": row.occurred_at,
    }
    if row.external_invoice is not None:
        shown["external_amount"] = format_money(row.amount, currency)
    if row.reservation_id is not None:
        reserved = row.amount if row.credit == Code.HELD else -row.amount
        shown |= {
            "reservation_id": row.reservation_id,
            "reserved": format_money(reserved, currency),
        }
    if row.refunded_id is not None:
        shown["reverses" if row.kind == "reversal" else "refunds"] = row.refunded_id
    if row.payment_id is not None:
        shown["payment_id"] = row.payment_id
    if costs is not None:
        shown["cost"] = format_money(costs.get(row.transaction_id, 0), currency)
    return shown


def _leg(code: int, debit: int, credit: int, currency: str) -> dict[str, str]:
    return {
        "account": Code(code).label,
        "debit": format_money(debit, currency),
        "credit": format_money(credit, currency),
    }
