"""Checks of sources of money and of what they have paid."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, exists, literal, or_, select, union_all
from sqlalchemy.orm import Session

from billing.models import Allocation, Entry, Invoice, Source
from billing.queries.ledger_audit.discrepancy import MAX_DISCREPANCIES, Discrepancy, total
from billing.values import Code


def wrong_surpluses(session: Session, surpluses: Mapping[str, int]) -> list[Discrepancy]:
    """Accounts whose surplus is not what is unassigned of their sources. ``surpluses``: by
    organization, the surplus according to the account."""
    query = (
        select(Source.organization_id, total(Source.unassigned).label("unassigned"))
        .where(Source.organization_id.in_(surpluses))
        .group_by(Source.organization_id)
    )
    unassigned = {row.organization_id: int(row.unassigned) for row in session.execute(query)}
    return [
        Discrepancy(
            organization_id,
            "allocations",
            f"the surplus is {surplus}, its sources have {unassigned.get(organization_id, 0)}",
        )
        for organization_id, surplus in surpluses.items()
        if unassigned.get(organization_id, 0) != surplus
    ]


def wrong_sources(session: Session, organization_ids: Sequence[str]) -> list[Discrepancy]:
    """Sources whose parts are not what came in, or that the journal does not know."""
    stored = select(
        Source.organization_id.label("organization_id"),
        Source.transaction_id.label("id"),
        Source.amount.label("received"),
        (Source.amount - Source.unassigned).label("used"),
    ).where(Source.organization_id.in_(organization_ids))
    posted = select(Entry.organization_id, Entry.transaction_id, -Entry.amount, literal(0)).where(
        Entry.organization_id.in_(organization_ids),
        Entry.credit == Code.SURPLUS,
        Entry.debit != Code.INVOICED,
        ~_gives_back(),
    )
    allocated = select(
        Allocation.organization_id, Allocation.source_id, literal(0), -Allocation.amount
    ).where(Allocation.organization_id.in_(organization_ids))
    wrong = session.execute(_unequal([stored, posted, allocated], "received", "used"))
    return [
        Discrepancy(row.organization_id, "allocations", f"{row.id} does not match its parts")
        for row in wrong
    ]


def _gives_back() -> Any:
    """Whether a row of the journal returns money to sources, and so makes none."""
    return exists().where(
        Allocation.organization_id == Entry.organization_id, Allocation.seq == Entry.seq
    )


def wrong_payments(session: Session, organization_ids: Sequence[str]) -> list[Discrepancy]:
    """Invoices that were not paid what their allocations say."""
    stored = select(
        Invoice.organization_id.label("organization_id"),
        Invoice.id.label("id"),
        Invoice.paid.label("paid"),
    ).where(Invoice.organization_id.in_(organization_ids))
    allocated = select(Allocation.organization_id, Allocation.invoice_id, -Allocation.amount).where(
        Allocation.organization_id.in_(organization_ids), Allocation.invoice_id.is_not(None)
    )
    wrong = session.execute(_unequal([stored, allocated], "paid"))
    return [
        Discrepancy(row.organization_id, "allocations", f"{row.id} does not match what paid it")
        for row in wrong
    ]


def _unequal(parts: Sequence[Any], *names: str) -> Select[Any]:
    """The (organization, id) for which the figures with these names do not add up to zero."""
    rows = union_all(*parts).subquery()
    figures = [total(rows.c[name]) != 0 for name in names]
    return (
        select(rows.c.organization_id, rows.c.id)
        .group_by(rows.c.organization_id, rows.c.id)
        .having(or_(*figures))
        .limit(MAX_DISCREPANCIES)
    )
