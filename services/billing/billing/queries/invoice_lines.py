"""The lines of an invoice, read from its range of the journal and those of voided invoices whose
lines it contains."""

from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Any

from chassis.db.upserts import is_postgresql
from chassis.runtime import clock
from sqlalchemy import ColumnElement, Integer, and_, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from billing.models import Entry, Invoice
from billing.models.taxes import NO_TAX, rates_on
from billing.queries.supplies import SIGNED, Span, with_voided
from billing.values import SUPPLY_KINDS, UNIT, USAGE, format_money, local_day

MAX_LINES = 5000
_GROUPED_KINDS = (USAGE, "capture")
# Every time zone is offset from UTC by a whole number of quarters of an hour.
_QUARTER = 900


def show_lines(session: Session, invoice: Invoice) -> list[dict[str, Any]]:
    """What changed the unbilled amount, with the description of its transaction and the taxes on
    it, and the rounding.

    On an invoice of more than MAX_LINES lines, usage and captures are grouped by kind and day.
    """
    spans = with_voided(session, [Span.of(invoice)])
    is_line = or_(*(span.condition for span in spans))
    first = aliased(Entry)
    query = (
        select(
            first.transaction_id,
            first.kind,
            first.description,
            Entry.occurred_at,
            Entry.supplied_on,
            SIGNED.label("signed"),
        )
        .join(
            first,
            and_(
                first.organization_id == Entry.organization_id,
                first.transaction_id == Entry.transaction_id,
                first.part == 0,
            ),
        )
        .where(is_line)
        .order_by(Entry.seq)
    )
    rows = session.execute(query.limit(MAX_LINES + 1)).all()
    grouped: list[dict[str, Any]] = []
    if len(rows) > MAX_LINES:
        grouped = _grouped_lines(session, invoice, is_line)
        rows = session.execute(query.where(Entry.kind.not_in(_GROUPED_KINDS))).all()
    return grouped + [_show_row(row, invoice) for row in rows] + _rounding_line(invoice)


def _show_row(row: Any, invoice: Invoice) -> dict[str, Any]:
    day = row.supplied_on or local_day(row.occurred_at, invoice.about["timezone"])
    return _show_line(
        invoice, row.transaction_id, row.kind, row.description, row.occurred_at, day, row.signed
    )


def _show_line(
    invoice: Invoice,
    transaction_id: str | None,
    kind: str,
    description: str | None,
    occurred_at: datetime,
    day: date,
    amount: int,
) -> dict[str, Any]:
    rates = rates_on(invoice.tax_periods, day) if kind in SUPPLY_KINDS else NO_TAX
    return {
        "transaction_id": transaction_id,
        "occurred_at": clock.stamp(occurred_at),
        "occurred_on": day.isoformat(),
        "kind": kind,
        "description": description,
        "amount": format_money(amount, invoice.currency),
        "taxes": [rate._asdict() for rate in rates],
    }


def _rounding_line(invoice: Invoice) -> list[dict[str, Any]]:
    if not invoice.rounding:
        return []
    return [
        _show_line(
            invoice,
            None,
            "rounding",
            "Rounding",
            invoice.issued_at,
            invoice.issued_on,
            invoice.rounding,
        )
    ]


def _grouped_lines(
    session: Session, invoice: Invoice, is_line: ColumnElement[bool]
) -> list[dict[str, Any]]:
    """One line for each kind and day in the customer's time zone. The database adds up quarters of
    an hour, because SQLite does not know time zones."""
    moment = Entry.occurred_at
    if is_postgresql(session):
        quarter: Any = cast(func.floor(func.extract("epoch", moment) / _QUARTER), Integer)
    else:
        quarter = cast(func.strftime("%s", moment), Integer) // _QUARTER
    quarter = quarter.label("quarter")
    rows = session.execute(
        select(
            quarter,
            Entry.kind,
            func.count().label("records"),
            func.sum(SIGNED // UNIT).label("units"),
            func.sum(SIGNED % UNIT).label("millionths"),
        )
        .where(is_line, Entry.kind.in_(_GROUPED_KINDS))
        .group_by(quarter, Entry.kind)
        .order_by(quarter, Entry.kind)
    )
    groups: dict[tuple[date, str], list[Any]] = defaultdict(list)
    for row in rows:
        at = datetime.fromtimestamp(row.quarter * _QUARTER, UTC)
        groups[local_day(at, invoice.about["timezone"]), row.kind].append((at, row))
    lines = []
    for (day, kind), members in sorted(groups.items(), key=lambda group: group[0]):
        records = sum(row.records for _, row in members)
        amount = sum(int(row.units) * UNIT + int(row.millionths) for _, row in members)
        description = f"{kind.capitalize()}, {records} records"
        lines.append(_show_line(invoice, None, kind, description, members[0][0], day, amount))
    return lines
