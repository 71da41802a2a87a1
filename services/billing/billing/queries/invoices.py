"""Reading invoices."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from chassis.errors import NotFound
from chassis.runtime import clock, ids
from sqlalchemy import Select, case, func, or_, select, text
from sqlalchemy.orm import Session

from billing.models import Account, CreditNote, Entry, Invoice
from billing.models.invoice import AWAITING_ONLY, REGULAR_ONLY
from billing.queries.accounts import get_account
from billing.queries.allocations import paid_by_credits, show_allocations
from billing.queries.invoice_lines import show_lines
from billing.values import AWAITING, VOID, Code, format_money

# Over the journal rows of invoices: what settles them.
SETTLED = func.sum(case((Entry.credit == Code.INVOICED, Entry.amount), else_=-Entry.amount))


class NoInvoice(NotFound):
    code = "not_found"
    detail = "There is no such invoice on this account."


def get_invoice(session: Session, organization_id: str, invoice_id: str) -> Invoice:
    """One invoice. Raises NoInvoice."""
    if not ids.is_id("inv", invoice_id):
        raise NoInvoice()
    invoice = session.get(Invoice, (organization_id, invoice_id))
    if invoice is None:
        raise NoInvoice()
    return invoice


def invoices(
    organization_id: str,
    *,
    now: datetime,
    status: str | None = None,
    overdue: bool | None = None,
    since: date | None = None,
    until: date | None = None,
) -> Select[Any]:
    """An organization's invoices, newest first. ``since`` and ``until``: days of issue,
    inclusive."""
    query = (
        select(Invoice)
        .where(Invoice.organization_id == organization_id)
        .order_by(Invoice.id.desc())
    )
    if status == AWAITING:
        query = query.where(text(AWAITING_ONLY))
    elif status is not None:
        query = query.where(Invoice.status == status)
    if overdue is True:
        query = query.where(text(AWAITING_ONLY), Invoice.due_until <= now)
    if overdue is False:
        query = query.where(or_(Invoice.status != AWAITING, Invoice.due_until > now))
    if since is not None:
        query = query.where(Invoice.issued_on >= since)
    if until is not None:
        query = query.where(Invoice.issued_on <= until)
    return query


def show_invoice(session: Session, invoice: Invoice, now: datetime) -> dict[str, Any]:
    """An invoice as the API returns it, with its lines and credit notes."""
    (shown,) = show_invoice_rows(session, [invoice], now)
    return {
        **shown,
        "lines": show_lines(session, invoice),
        "credit_notes": _show_credit_notes(session, invoice),
        "allocations": show_allocations(session, invoice),
    }


def show_invoice_rows(
    session: Session, invoices: Sequence[Invoice], now: datetime
) -> list[dict[str, Any]]:
    """Invoices of one organization as the API lists them."""
    written_off = _written_off(session, invoices)
    return [_show_row(invoice, now, written_off.get(invoice.id, 0)) for invoice in invoices]


def _written_off(session: Session, invoices: Sequence[Invoice]) -> dict[str, int]:
    """By invoice, the part of ``credited`` that was written off; read from the journal."""
    credited = [invoice for invoice in invoices if invoice.credited]
    if not credited:
        return {}
    rows = session.execute(
        select(Entry.invoice_id, SETTLED)
        .where(
            Entry.organization_id == credited[0].organization_id,
            Entry.invoice_id.in_([invoice.id for invoice in credited]),
            or_(Entry.debit == Code.WRITE_OFF, Entry.credit == Code.WRITE_OFF),
        )
        .group_by(Entry.invoice_id)
    )
    return {str(invoice_id): int(amount) for invoice_id, amount in rows}


def _show_row(invoice: Invoice, now: datetime, written_off: int) -> dict[str, Any]:
    def money(amount: int) -> str:
        return format_money(amount, invoice.currency)

    supply = invoice.about.get("supply", invoice.about["period"])
    return {
        "id": invoice.id,
        "organization_id": invoice.organization_id,
        "number": invoice.number,
        "kind": invoice.kind,
        "status": invoice.status,
        "currency": invoice.currency,
        "total": money(invoice.total),
        "tax": money(invoice.tax),
        "net": money(invoice.total - invoice.tax),
        "subtotal": money(invoice.total - invoice.rounding),
        "rounding": money(invoice.rounding),
        "tax_breakdown": show_taxes(invoice.taxes, invoice.currency),
        "tax_note": invoice.about.get("tax_note"),
        "paid": money(invoice.paid),
        "credited": money(invoice.credited),
        "written_off": money(written_off),
        "open": money(invoice.open),
        "overdue": invoice.is_overdue(now),
        "issued_on": invoice.issued_on.isoformat(),
        "due_on": invoice.due_on.isoformat(),
        "supply_from": supply["from"],
        "supply_to": supply["to"],
        "language": invoice.about["buyer"]["billing"].get("language", "en"),
        "issued_at": invoice.issued_at,
        "paid_at": invoice.paid_at,
        "voided_at": invoice.voided_at,
        "period": _sorted_by_name(invoice.about["period"]),
        "seller": _sorted_by_name(invoice.about["seller"]),
        "buyer": _sorted_by_name(invoice.about["buyer"]),
        "from_seq": invoice.from_seq,
        "to_seq": invoice.to_seq,
    }


def invoice_document(session: Session, organization_id: str, invoice_id: str) -> dict[str, Any]:
    """All data needed to render an invoice; amounts, dates and moments (UTC) as text.

    It depends on nothing but the invoice, so the same invoice renders to the same bytes. Raises
    NoAccount, NoInvoice.
    """
    get_account(session, organization_id)
    invoice = get_invoice(session, organization_id, invoice_id)
    shown = show_invoice(session, invoice, invoice.issued_at)
    shown["timezone"] = invoice.about["timezone"]
    shown["paid_by_credits"] = format_money(paid_by_credits(session, invoice), invoice.currency)
    for name in ("id", "organization_id", "overdue", "from_seq", "to_seq", "allocations"):
        del shown[name]
    for name, value in shown.items():
        if isinstance(value, datetime):
            shown[name] = clock.stamp(value)
    return shown


def invoice_of(session: Session, account: Account, entry: Entry) -> Invoice | None:
    """The invoice that a charge is on, from its row against the customer; None while unbilled.

    The charges of a voided invoice are on the next regular one.
    """
    invoice = None
    if entry.invoice_id is not None:
        invoice = session.get_one(Invoice, (account.organization_id, entry.invoice_id))
    elif Code.UNBILLED in (entry.debit, entry.credit):
        invoice = _regular_invoice(session, account, entry.seq)
    while invoice is not None and invoice.status == VOID:
        invoice = _regular_invoice(session, account, _void_seq(session, invoice))
    return invoice


def show_taxes(taxes: Iterable[Mapping[str, Any]], currency: str) -> list[dict[str, str]]:
    """The taxes in a document as the API shows them."""
    return [
        {
            "name": tax["name"],
            "rate": tax["rate"],
            "taxable": format_money(tax["taxable"], currency),
            "tax": format_money(tax["tax"], currency),
        }
        for tax in taxes
    ]


def credit_notes(session: Session, invoice: Invoice) -> Sequence[CreditNote]:
    """The credit notes of an invoice, oldest first."""
    return session.scalars(
        select(CreditNote)
        .where(
            CreditNote.organization_id == invoice.organization_id,
            CreditNote.invoice_id == invoice.id,
        )
        .order_by(CreditNote.transaction_id)
    ).all()


def _sorted_by_name(value: Any) -> Any:
    """Objects with sorted names: databases keep them in any order, an invoice must not change."""
    if not isinstance(value, dict):
        return value
    return {name: _sorted_by_name(value[name]) for name in sorted(value)}


def _show_credit_notes(session: Session, invoice: Invoice) -> list[dict[str, Any]]:
    return [
        {
            "number": note.number,
            "transaction_id": note.transaction_id,
            "amount": format_money(note.amount, invoice.currency),
            "tax": format_money(note.tax, invoice.currency),
            "rounding": format_money(note.rounding, invoice.currency),
            "tax_breakdown": show_taxes(note.taxes, invoice.currency),
            "reason": note.reason,
            "issued_at": clock.stamp(note.issued_at),
        }
        for note in credit_notes(session, invoice)
    ]


def _regular_invoice(session: Session, account: Account, seq: int) -> Invoice | None:
    """The regular invoice that covers this row. Regular invoices cover the journal without gaps."""
    return session.scalars(
        select(Invoice)
        .where(
            Invoice.organization_id == account.organization_id,
            text(REGULAR_ONLY),
            Invoice.to_seq >= seq,
        )
        .order_by(Invoice.to_seq)
        .limit(1)
    ).one_or_none()


def _void_seq(session: Session, invoice: Invoice) -> int:
    """The row that voided an invoice."""
    return session.scalars(
        select(Entry.seq).where(
            Entry.organization_id == invoice.organization_id,
            Entry.invoice_id == invoice.id,
            Entry.debit == Code.UNBILLED,
            Entry.credit == Code.INVOICED,
        )
    ).one()
