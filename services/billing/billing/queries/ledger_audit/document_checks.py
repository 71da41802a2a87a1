"""Checks of reservations, invoices and daily spending against the journal's rows about them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, case, func, literal, or_, select, text, union_all
from sqlalchemy.orm import Session, aliased

from billing.models import Entry, Invoice, Reservation, Spending
from billing.models.invoice import REGULAR_ONLY
from billing.queries.ledger_audit.discrepancy import (
    MAX_DISCREPANCIES,
    Discrepancy,
    halves,
    total,
    whole,
)
from billing.values import PAID, VOID, Code

_NO_MATCH = "does not match its rows in the journal"


def wrong_reservations(session: Session, organization_ids: Sequence[str]) -> list[Discrepancy]:
    """Reservations whose amounts differ from their transactions, or that exist on one side only."""
    first, row, zero = aliased(Entry), aliased(Entry), literal(0)
    stored = select(
        Reservation.organization_id.label("organization_id"),
        Reservation.id.label("id"),
        literal(1).label("known"),
        Reservation.amount.label("held"),
        (Reservation.captured + Reservation.released).label("freed"),
        Reservation.captured.label("captured"),
    ).where(Reservation.organization_id.in_(organization_ids))
    posted = (
        select(
            first.organization_id,
            first.reservation_id,
            zero,
            -_amount_if(row, row.credit == Code.HELD),
            -_amount_if(row, row.debit == Code.HELD),
            -_amount_if(row, row.credit == Code.REVENUE),
        )
        .join(
            row,
            (row.organization_id == first.organization_id)
            & (row.transaction_id == first.transaction_id),
        )
        .where(
            first.organization_id.in_(organization_ids),
            first.part == 0,
            first.reservation_id.is_not(None),
        )
    )
    wrong = session.execute(_mismatches(stored, posted, "held", "freed", "captured"))
    return [
        Discrepancy(row.organization_id, "reservations", f"{row.id} {_NO_MATCH}") for row in wrong
    ]


def wrong_invoices(session: Session, organization_ids: Sequence[str]) -> list[Discrepancy]:
    """Invoices whose paid, credited or open amount differs from the rows with their id.

    A row against the surplus pays, a row against the unbilled amount issues or voids, every other
    row credits.
    """
    debit, credit = Entry.debit == Code.INVOICED, Entry.credit == Code.INVOICED
    other = case((credit, Entry.debit), else_=Entry.credit)
    settled = case((credit, Entry.amount), else_=-Entry.amount)
    stored = select(
        Invoice.organization_id.label("organization_id"),
        Invoice.id.label("id"),
        literal(1).label("known"),
        Invoice.paid.label("paid"),
        Invoice.credited.label("credited"),
        _open_amount().label("open"),
    ).where(Invoice.organization_id.in_(organization_ids))
    posted = select(
        Entry.organization_id,
        Entry.invoice_id,
        literal(0),
        -case((other == Code.SURPLUS, settled), else_=0),
        -case((other.not_in((Code.SURPLUS, Code.UNBILLED)), settled), else_=0),
        settled,
    ).where(
        Entry.organization_id.in_(organization_ids),
        Entry.invoice_id.is_not(None),
        or_(debit, credit),
    )
    wrong = session.execute(_mismatches(stored, posted, "paid", "credited", "open"))
    return [Discrepancy(row.organization_id, "invoices", f"{row.id} {_NO_MATCH}") for row in wrong]


def wrong_ranges(session: Session, invoiced_seqs: Mapping[str, int]) -> list[Discrepancy]:
    """Regular invoices that do not begin where the one before ended, and wrong ``invoiced_seq``.

    ``invoiced_seqs``: by organization, the last invoiced row according to its account.
    """
    before = func.lag(Invoice.to_seq, 1, 0).over(
        partition_by=Invoice.organization_id, order_by=Invoice.to_seq
    )
    rows = select(
        Invoice.organization_id,
        Invoice.id,
        Invoice.from_seq,
        Invoice.to_seq,
        before.label("before"),
    ).where(Invoice.organization_id.in_(invoiced_seqs), text(REGULAR_ONLY))
    c = rows.subquery().c
    gaps = session.execute(select(*c).where(c.from_seq != c.before + 1).limit(MAX_DISCREPANCIES))
    discrepancies = [
        Discrepancy(
            row.organization_id,
            "invoices",
            f"{row.id} begins at row {row.from_seq}, the previous invoice ended at {row.before}",
        )
        for row in gaps
    ]
    ends = select(c.organization_id, func.max(c.to_seq).label("last")).group_by(c.organization_id)
    last_rows = {row.organization_id: row.last for row in session.execute(ends)}
    for organization_id, seq in invoiced_seqs.items():
        last = last_rows.get(organization_id, 0)
        if last != seq:
            detail = f"the account is invoiced to row {seq}, its invoices end at {last}"
            discrepancies.append(Discrepancy(organization_id, "invoices", detail))
    return discrepancies


def wrong_spendings(session: Session, organization_ids: Sequence[str]) -> list[Discrepancy]:
    """Days with negative spending."""
    wrong = session.scalars(
        select(Spending)
        .where(Spending.organization_id.in_(organization_ids), Spending.amount < 0)
        .limit(MAX_DISCREPANCIES)
    )
    return [
        Discrepancy(row.organization_id, "spendings", f"spending on {row.day} is negative")
        for row in wrong
    ]


def held_amounts(session: Session, organization_ids: Sequence[str]) -> dict[str, int]:
    """By account, the amount that its open reservations hold."""
    left = Reservation.amount - Reservation.captured - Reservation.released
    is_open = Reservation.status == "open"
    return _sum_by_account(session, Reservation, left, organization_ids, is_open)


def open_amounts(session: Session, organization_ids: Sequence[str]) -> dict[str, int]:
    """By account, the balance due on its invoices."""
    is_open = Invoice.status.not_in((PAID, VOID))
    return _sum_by_account(session, Invoice, _open_amount(), organization_ids, is_open)


def _sum_by_account(
    session: Session, model: Any, amount: Any, organization_ids: Sequence[str], condition: Any
) -> dict[str, int]:
    rows = session.execute(
        select(model.organization_id, *halves(amount))
        .where(model.organization_id.in_(organization_ids), condition)
        .group_by(model.organization_id)
    )
    return {row.organization_id: whole(row) for row in rows}


def _mismatches(stored: Any, posted: Any, *figures: str) -> Select[Any]:
    """The objects whose stored figures and posted figures (negated) do not add up to zero."""
    both = union_all(stored, posted).subquery()
    wrong_figures = [total(both.c[name]) != 0 for name in figures]
    return (
        select(both.c.organization_id, both.c.id)
        .group_by(both.c.organization_id, both.c.id)
        .having(or_(func.sum(both.c.known) != 1, *wrong_figures))
        .limit(MAX_DISCREPANCIES)
    )


def _open_amount() -> Any:
    return case((Invoice.status == VOID, 0), else_=Invoice.total - Invoice.paid - Invoice.credited)


def _amount_if(row: Any, condition: Any) -> Any:
    return case((condition, row.amount), else_=0)
