"""The lines of an invoice, read from its range of the journal."""

from typing import Any

from chassis.db.upserts import is_postgresql
from chassis.runtime import clock
from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session, aliased

from billing.models import Entry, Invoice
from billing.values import UNIT, USAGE, Code, format_money

MAX_LINES = 5000
_GROUPED_KINDS = (USAGE, "capture")
_ADDS, _TAKES = Entry.debit == Code.UNBILLED, Entry.credit == Code.UNBILLED
# Regular invoices cover what has no individual invoice, and what a voided invoice gave back.
_REGULAR = or_(Entry.invoice_id.is_(None), and_(_ADDS, Entry.credit == Code.INVOICED))
_SIGNED = case((_ADDS, Entry.amount), else_=-Entry.amount).label("signed")


def show_lines(session: Session, invoice: Invoice) -> list[dict[str, str | None]]:
    """The rows that changed the unbilled amount, with the description of their transaction.

    On an invoice of more than MAX_LINES lines, usage and captures are grouped by kind and day
    (UTC).
    """
    belongs: ColumnElement[bool] = (
        _REGULAR if invoice.is_regular else Entry.invoice_id == invoice.id
    )
    conditions = (
        Entry.organization_id == invoice.organization_id,
        Entry.seq.between(invoice.from_seq, invoice.to_seq),
        or_(_ADDS, _TAKES),
        belongs,
    )
    first = aliased(Entry)
    query = (
        select(first.transaction_id, first.occurred_at, first.kind, first.description, _SIGNED)
        .join(
            first,
            and_(
                first.organization_id == Entry.organization_id,
                first.transaction_id == Entry.transaction_id,
                first.part == 0,
            ),
        )
        .where(*conditions)
        .order_by(Entry.seq)
    )
    rows = session.execute(query.limit(MAX_LINES + 1)).all()
    if len(rows) <= MAX_LINES:
        return [_show_line(row, invoice) for row in rows]
    rows = session.execute(query.where(Entry.kind.not_in(_GROUPED_KINDS))).all()
    return _grouped_lines(session, invoice, conditions) + [_show_line(row, invoice) for row in rows]


def _show_line(row: Any, invoice: Invoice) -> dict[str, str | None]:
    return {
        "transaction_id": row.transaction_id,
        "occurred_at": clock.stamp(row.occurred_at),
        "kind": row.kind,
        "description": row.description,
        "amount": format_money(row.signed, invoice.currency),
    }


def _grouped_lines(
    session: Session, invoice: Invoice, conditions: tuple[ColumnElement[bool], ...]
) -> list[dict[str, str | None]]:
    in_utc = func.timezone("UTC", Entry.occurred_at)
    moment = in_utc if is_postgresql(session) else Entry.occurred_at
    day = func.date(moment).label("day")
    rows = session.execute(
        select(
            day,
            Entry.kind,
            func.count().label("records"),
            func.sum(_SIGNED // UNIT).label("units"),
            func.sum(_SIGNED % UNIT).label("millionths"),
        )
        .where(*conditions, Entry.kind.in_(_GROUPED_KINDS))
        .group_by(day, Entry.kind)
        .order_by(day, Entry.kind)
    )
    # Noon UTC is the same date in nearly every time zone, so the PDF shows the intended day.
    return [
        {
            "transaction_id": None,
            "occurred_at": f"{row.day}T12:00:00.000000Z",
            "kind": row.kind,
            "description": f"{row.kind.capitalize()}, {row.records} records",
            "amount": format_money(int(row.units) * UNIT + int(row.millionths), invoice.currency),
        }
        for row in rows
    ]
