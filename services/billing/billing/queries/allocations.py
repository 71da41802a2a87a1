"""Reading what sources of money have paid."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.models import Allocation, Entry, Invoice, Source
from billing.values import ADJUSTMENT_KINDS, format_money

MODE_CHANGE = "mode_change"
_CREDITS = (*ADJUSTMENT_KINDS, "refund")
_PAID: Any = func.sum(Allocation.amount)


class Share(NamedTuple):
    """What a source has paid of an invoice."""

    invoice_id: str
    number: str
    amount: int


def sources(
    session: Session, organization_id: str, transaction_ids: Collection[str]
) -> dict[str, Source]:
    """Those of these transactions that are sources, by id."""
    query = select(Source).where(
        Source.organization_id == organization_id, Source.transaction_id.in_(transaction_ids)
    )
    return {source.transaction_id: source for source in session.scalars(query)}


def shares(
    session: Session, organization_id: str, source_ids: Collection[str]
) -> dict[str, list[Share]]:
    """By source, what it has paid, oldest invoice first."""
    rows = session.execute(
        select(Allocation.source_id, Invoice.id, Invoice.number, _PAID)
        .join(
            Invoice,
            (Invoice.organization_id == Allocation.organization_id)
            & (Invoice.id == Allocation.invoice_id),
        )
        .where(Allocation.organization_id == organization_id, Allocation.source_id.in_(source_ids))
        .group_by(Allocation.source_id, Invoice.id, Invoice.number)
        .having(_PAID != 0)
        .order_by(Invoice.id)
    )
    by_source: dict[str, list[Share]] = {source_id: [] for source_id in source_ids}
    for source_id, invoice_id, number, amount in rows:
        by_source[source_id].append(Share(invoice_id, number, int(amount)))
    return by_source


def shares_of_invoice(
    session: Session, organization_id: str, invoice_id: str
) -> list[tuple[str, int]]:
    """The sources that have paid the invoice, those that did so last first, and how much."""
    paid_last = func.max(Allocation.seq).filter(Allocation.amount > 0)
    rows = session.execute(
        select(Allocation.source_id, _PAID)
        .join(
            Source,
            (Source.organization_id == Allocation.organization_id)
            & (Source.transaction_id == Allocation.source_id),
        )
        .where(Allocation.organization_id == organization_id, Allocation.invoice_id == invoice_id)
        .group_by(Allocation.source_id, Source.seq)
        .having(_PAID != 0)
        .order_by(paid_last.desc(), Source.seq.desc())
    )
    return [(source_id, int(amount)) for source_id, amount in rows]


def taken_by(session: Session, organization_id: str, seq: int) -> list[tuple[str, int]]:
    """The sources from which the row of the journal took, and how much."""
    rows = session.execute(
        select(Allocation.source_id, Allocation.amount)
        .where(Allocation.organization_id == organization_id, Allocation.seq == seq)
        .order_by(Allocation.source_id)
    )
    return [(source_id, amount) for source_id, amount in rows]


class Whereabouts(NamedTuple):
    """The sources that may have what a row of the journal brought: its own, and those made later of
    what had become prepaid, at most ``moved`` of them together."""

    own: Source | None
    later: Sequence[Source]
    moved: int


def whereabouts(session: Session, row: Entry) -> Whereabouts:
    """Where the money of the row may be now, on a postpaid account."""
    own = session.get(Source, (row.organization_id, row.transaction_id))
    moved = row.amount if own is None else _moved_to_prepaid(session, own)
    if not moved:
        return Whereabouts(own, (), 0)
    later = select(Source).where(
        Source.organization_id == row.organization_id,
        Source.kind.in_((MODE_CHANGE, "reversal")),
        Source.seq > row.seq,
    )
    return Whereabouts(own, session.scalars(later.order_by(Source.seq)).all(), moved)


def _moved_to_prepaid(session: Session, source: Source) -> int:
    """What changes of payment mode took of the source."""
    moved = session.scalar(
        select(_PAID)
        .join(
            Entry,
            (Entry.organization_id == Allocation.organization_id) & (Entry.seq == Allocation.seq),
        )
        .where(
            Allocation.organization_id == source.organization_id,
            Allocation.source_id == source.transaction_id,
            Entry.kind == MODE_CHANGE,
        )
    )
    return int(moved or 0)


def paid_by_credits(session: Session, invoice: Invoice) -> int:
    """What the invoice was paid from credits of the provider's, not from money."""
    paid = session.scalar(
        select(_PAID)
        .join(
            Source,
            (Source.organization_id == Allocation.organization_id)
            & (Source.transaction_id == Allocation.source_id),
        )
        .where(
            Allocation.organization_id == invoice.organization_id,
            Allocation.invoice_id == invoice.id,
            Source.kind.in_(_CREDITS),
        )
    )
    return int(paid or 0)


def show_allocations(session: Session, invoice: Invoice) -> list[dict[str, Any]]:
    """What has paid the invoice, as the API shows it, first payer first."""
    paid = shares_of_invoice(session, invoice.organization_id, invoice.id)[::-1]
    known = sources(session, invoice.organization_id, [source_id for source_id, _ in paid])
    return [
        {
            "source": source_id,
            "kind": known[source_id].kind,
            "payment_id": known[source_id].payment_id,
            "amount": format_money(amount, invoice.currency),
        }
        for source_id, amount in paid
    ]


def assignments(
    session: Session, organization_id: str, seqs: Sequence[int], currency: str
) -> list[dict[str, Any]]:
    """What these rows of the journal paid: the source, the invoice and the amount."""
    rows = session.scalars(
        select(Allocation)
        .where(Allocation.organization_id == organization_id, Allocation.seq.in_(seqs))
        .order_by(Allocation.seq, Allocation.source_id)
    )
    return [
        {
            "source": row.source_id,
            "invoice_id": row.invoice_id,
            "amount": format_money(row.amount, currency),
        }
        for row in rows
    ]
