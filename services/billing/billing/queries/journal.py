"""What can be known about transactions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chassis import ids
from chassis.errors import NotFound
from sqlalchemy import Select, select, text
from sqlalchemy.orm import Session

from billing.models import Account, Entry
from billing.models.journal import FIRST, FIRST_AND_IN, FIRST_AND_RARE
from billing.queries.accounts import account
from billing.values import ADJUSTMENTS, CHARGES, Code, format_money

BATCH = 500
GROUPS = {"charge": CHARGES, "adjustment": ADJUSTMENTS}
SETTLED_WITH_THE_PROVIDER = (Code.COST, Code.WALLET)


class NoTransaction(NotFound):
    """There is no such transaction on this account."""

    code = "not_found"


def transactions(
    organization_id: str, *, kind: str | None = None, since: datetime | None = None, until: datetime | None = None,
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


def show_page(session: Session, found: Account, rows: Sequence[Entry], *, staff: bool) -> list[dict[str, Any]]:
    """First rows as transactions. ``staff``: with what they cost the provider."""
    costs = _costs(session, found.organization_id, rows) if staff else None
    return [_show(row, found.currency, costs) for row in rows]


def transactions_before(
    session: Session, found: Account, seq: int | None, *, staff: bool, **filters: Any
) -> tuple[list[dict[str, Any]], int | None]:
    """The next batch of the transactions the filters leave, newest first, and where the one after it begins; the
    first begins at None."""
    query = transactions(found.organization_id, **filters).limit(BATCH)
    rows = session.scalars(query if seq is None else query.where(Entry.seq < seq)).all()
    return show_page(session, found, rows, staff=staff), rows[-1].seq if rows else None


def transaction(session: Session, *, organization_id: str, transaction_id: str, staff: bool) -> dict[str, Any]:
    """One transaction with its entries. Raises NoAccount, NoTransaction."""
    found = account(session, organization_id)
    if not ids.is_id("txn", transaction_id):
        raise NoTransaction()
    rows = session.scalars(
        select(Entry)
        .where(Entry.organization_id == organization_id, Entry.transaction_id == transaction_id)
        .order_by(Entry.part)
    ).all()
    if not rows:
        raise NoTransaction()
    return show_transaction(rows, found.currency, staff=staff)


def show_transaction(rows: Sequence[Entry], currency: str, *, staff: bool) -> dict[str, Any]:
    """A transaction with its entries, unfolded from its rows; cost and its entries for staff only."""
    cost = sum(row.amount for row in rows if _is_cost(row))
    shown = _show(rows[0], currency, {rows[0].transaction_id: cost} if staff else None)
    shown["entries"] = [
        line
        for row in rows if staff or not _is_cost(row)
        for line in (_leg(row.debit, row.amount, 0, currency), _leg(row.credit, 0, row.amount, currency))
    ]
    return shown


def _costs(session: Session, organization_id: str, rows: Sequence[Entry]) -> dict[str, int]:
    """What each of these transactions cost the provider."""
    if not rows:
        return {}
    debit, credit = SETTLED_WITH_THE_PROVIDER
    found = session.execute(
        select(Entry.transaction_id, Entry.amount).where(
            Entry.organization_id == organization_id,
            Entry.transaction_id.in_([row.transaction_id for row in rows]),
            Entry.debit == debit, Entry.credit == credit,
        )
    )
    return {row.transaction_id: row.amount for row in found}


def _is_cost(row: Entry) -> bool:
    return (row.debit, row.credit) == SETTLED_WITH_THE_PROVIDER


def _show(row: Entry, currency: str, costs: dict[str, int] | None) -> dict[str, Any]:
    """A transaction as people see it, from its first row; ``costs`` None: they are not for this reader."""
    shown = {
        "id": row.transaction_id, "organization_id": row.organization_id, "kind": row.kind,
        "amount": format_money(row.moved, currency), "currency": currency,
        "balance_after": format_money(row.balance_after, currency), "description": row.description,
        "method": row.method, "reference": row.reference, "remark": row.remark, "reason": row.reason,
        "external_invoice": row.external_invoice, "occurred_at": row.occurred_at,
    }
    if row.external_invoice is not None:
        shown["external_amount"] = format_money(row.amount, currency)
    if costs is not None:
        shown["cost"] = format_money(costs.get(row.transaction_id, 0), currency)
    return shown


def _leg(code: int, debit: int, credit: int, currency: str) -> dict[str, str]:
    return {
        "account": Code(code).label, "debit": format_money(debit, currency), "credit": format_money(credit, currency)
    }
