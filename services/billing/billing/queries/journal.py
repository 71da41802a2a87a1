"""Reading transactions."""

from collections.abc import Collection, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from chassis.errors import NotFound
from chassis.runtime import ids
from sqlalchemy import Select, and_, exists, func, select, text
from sqlalchemy.orm import Session, aliased

from billing.models import Account, Entry
from billing.models.journal import FIRST, FIRST_AND_IN, FIRST_AND_RARE, Row
from billing.queries.accounts import get_account
from billing.values import ADJUSTMENT_KINDS, SPENDING_KINDS, Code, format_money

EXPORT_BATCH = 500
GROUPS = {"charge": SPENDING_KINDS, "adjustment": ADJUSTMENT_KINDS}
COST_ACCOUNTS = {Code.COST, Code.WALLET}
# The columns that rows posted without the ORM leave empty.
_EMPTY: dict[str, None] = dict.fromkeys(set(Entry.__table__.c.keys()) - set(Row._fields))


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
    """The first rows of an organization's transactions, newest first.

    ``kind``: a kind or a group of kinds. ``since`` is inclusive, ``until`` exclusive;
    they go by the time of posting, so that what was selected once stays the same.
    ``direction``: ``in`` or ``out``, seen from the customer.
    """
    query = select(Entry).where(Entry.organization_id == organization_id).order_by(Entry.seq.desc())
    kinds = GROUPS.get(kind, (kind,)) if kind else ()
    is_rare = bool(kinds) and "usage" not in kinds
    query = query.where(text(FIRST_AND_RARE if is_rare else FIRST))
    if kinds:
        query = query.where(Entry.kind.in_(kinds))
    if since:
        query = query.where(Entry.posted_at >= since)
    if until:
        query = query.where(Entry.posted_at < until)
    if direction == "in":
        query = query.where(text(FIRST_AND_IN))
    elif direction:
        query = query.where(Entry.moved < 0)
    return query


def show_transactions(
    session: Session, rows: Sequence[Entry], *, staff: bool
) -> list[dict[str, Any]]:
    """Transactions as the API lists them, from their first rows.

    ``staff``: with their cost to the provider.
    """
    costs = None
    if staff:
        costs = provider_costs(session, [(row.organization_id, row.transaction_id) for row in rows])
    return [_show(row, row.currency, costs) for row in rows]


def transactions_batch(
    session: Session, account: Account, before: int | None, *, staff: bool, **filters: Any
) -> tuple[list[dict[str, Any]], int | None]:
    """One batch of an export: transactions that match the filters, newest first.

    It starts before the row ``before`` (None: at the newest). Also returns the row to continue at.
    """
    query = transactions(account.organization_id, **filters).limit(EXPORT_BATCH)
    if before is not None:
        query = query.where(Entry.seq < before)
    rows = session.scalars(query).all()
    shown = show_transactions(session, rows, staff=staff)
    return shown, rows[-1].seq if rows else None


def read_transaction(
    session: Session, *, organization_id: str, transaction_id: str, staff: bool
) -> dict[str, Any]:
    """One transaction with its entries. Raises NoAccount, NoTransaction."""
    account = get_account(session, organization_id)
    rows = rows_of(session, organization_id, transaction_id)
    return show_transaction(rows, account.currency, staff=staff)


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


def cost_of(rows: Sequence[Any]) -> int:
    """The cost of a transaction to the provider; negative if it returns the cost of a charge."""
    return sum(_signed_cost(row) for row in rows if _is_cost(row))


def refunded_or_reversed(session: Session, organization_id: str, transaction_id: str) -> int | None:
    """The total moved by the refunds or the reversal of a transaction, in the customer's favor.

    None if there are none. Exact while the account is locked.
    """
    moved = session.scalar(
        select(func.sum(Entry.moved)).where(
            Entry.organization_id == organization_id, Entry.refunded_id == transaction_id
        )
    )
    return None if moved is None else int(moved)


def refunded(session: Session, organization_id: str, transaction_id: str) -> int:
    """How much revenue the refunds of a charge have given back. Exact while the account is
    locked."""
    first = aliased(Entry)
    amount = session.scalar(
        select(func.sum(Entry.amount))
        .join(
            first,
            and_(
                first.organization_id == Entry.organization_id,
                first.transaction_id == Entry.transaction_id,
                first.part == 0,
            ),
        )
        .where(
            first.organization_id == organization_id,
            first.refunded_id == transaction_id,
            Entry.debit == Code.REVENUE,
        )
    )
    return int(amount or 0)


def last_top_up(session: Session, organization_id: str, *, but: str) -> int | None:
    """The amount of the last top-up that was not reversed, except the one with the id ``but``."""
    reversal = aliased(Entry)
    is_reversed = exists().where(
        reversal.organization_id == organization_id,
        reversal.refunded_id == Entry.transaction_id,
        reversal.kind == "reversal",
    )
    return session.scalar(
        select(Entry.amount)
        .where(
            Entry.organization_id == organization_id,
            Entry.kind == "top_up",
            Entry.transaction_id != but,
            text(FIRST_AND_RARE),
            ~is_reversed,
        )
        .order_by(Entry.seq.desc())
        .limit(1)
    )


def show_transaction(rows: Sequence[Any], currency: str, *, staff: bool) -> dict[str, Any]:
    """A transaction with its entries; the cost and its entries are for staff only."""
    first = rows[0]
    costs = {first.transaction_id: cost_of(rows)} if staff else None
    entries = []
    for row in rows:
        if staff or not _is_cost(row):
            entries.append(_leg(row.debit, row.amount, 0, currency))
            entries.append(_leg(row.credit, 0, row.amount, currency))
    return {**_show(first, currency, costs), "entries": entries}


def show_posted(rows: Sequence[Row]) -> dict[str, Any]:
    """A transaction with its entries, from the rows that were just posted; for staff."""
    shown = []
    for row in rows:
        named = {
            "organization_id": ids.of_uuid("org", row.organization_id),
            "transaction_id": ids.of_uuid("txn", row.transaction_id),
        }
        shown.append(SimpleNamespace(**_EMPTY, **{**row._asdict(), **named}))
    return show_transaction(shown, rows[0].currency, staff=True)


def provider_costs(session: Session, transactions: Collection[tuple[str, str]]) -> dict[str, int]:
    """By transaction id, the cost to the provider; asked for by (organization id, id)."""
    if not transactions:
        return {}
    rows = session.execute(
        select(Entry.transaction_id, Entry.amount, Entry.debit).where(
            Entry.organization_id.in_({organization_id for organization_id, _ in transactions}),
            Entry.transaction_id.in_({transaction_id for _, transaction_id in transactions}),
            Entry.debit.in_(COST_ACCOUNTS),
            Entry.credit.in_(COST_ACCOUNTS),
        )
    )
    return {row.transaction_id: _signed_cost(row) for row in rows}


def _is_cost(row: Any) -> bool:
    return {row.debit, row.credit} == COST_ACCOUNTS


def _signed_cost(row: Any) -> int:
    amount: int = row.amount
    return amount if row.debit == Code.COST else -amount


def _show(row: Any, currency: str, costs: dict[str, int] | None) -> dict[str, Any]:
    """A transaction as the API returns it, from its first row; without ``costs`` no cost."""
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
        "actor": _actor(row),
    }
    if row.external_invoice is not None:
        shown["external_amount"] = format_money(row.amount, currency)
    if row.reservation_id is not None:
        reserved = row.amount if row.credit == Code.HELD else -row.amount
        shown["reservation_id"] = row.reservation_id
        shown["reserved"] = format_money(reserved, currency)
    if row.refunded_id is not None:
        name = "reverses" if row.kind == "reversal" else "refunds"
        shown[name] = row.refunded_id
    if row.payment_id is not None:
        shown["payment_id"] = row.payment_id
    if costs is not None:
        shown["cost"] = format_money(costs.get(row.transaction_id, 0), currency)
    shown["occurred_at"] = row.occurred_at
    shown["posted_at"] = row.posted_at
    return shown


def _actor(row: Any) -> dict[str, Any] | None:
    return {"kind": row.actor_kind, "id": row.actor_id} if row.actor_kind else None


def _leg(code: int, debit: int, credit: int, currency: str) -> dict[str, str]:
    return {
        "account": Code(code).label,
        "debit": format_money(debit, currency),
        "credit": format_money(credit, currency),
    }
