"""Invoices by requests, and whether they agree with the books."""

from billing import actions, queries
from billing.models import Account, CreditNote, Entry, Invoice
from chassis.runtime import clock
from sqlalchemy import select

MILLION = 1_000_000


def choose(world, version=1, **settings):
    """The provider's settings from now on; documents are not rounded unless they say so."""
    settings = {"document_rounding": "none", **settings}
    with world.database.transaction() as session:
        actions.apply_settings(
            session, provider_id=world.provider_id, version=version, settings=settings
        )


def issue(world, org, status=201):
    response = world.call("POST", f"/v1/organizations/{org}/invoices", {})
    assert response.status_code == status, response.json
    return response.json


def read(world, org, invoice_id):
    response = world.call("GET", f"/v1/organizations/{org}/invoices/{invoice_id}")
    assert response.status_code == 200, response.json
    return response.json


def listed(world, org, query=""):
    response = world.call("GET", f"/v1/organizations/{org}/invoices{query}")
    assert response.status_code == 200, response.json
    return response.json["data"]


def do(world, org, invoice, what, body=None, status=None):
    response = world.call(
        "POST", f"/v1/organizations/{org}/invoices/{invoice['id']}/{what}", body or {}
    )
    assert response.status_code == (status or (200 if what == "void" else 201)), response.json
    return response.json


def credit(world, org, invoice, amount=None, status=None):
    body = {"reason": "agreed", **({"amount": amount} if amount else {})}
    return do(world, org, invoice, "credit-notes", body, status)


def figures(world, org):
    shown = world.account(org)
    return tuple(
        shown[name]
        for name in ("usable_credits", "expecting_invoice", "amount_due", "current_balance")
    )


def names(world, org):
    return [name for name, _ in world.published(org) if "invoice" in name or "credit_note" in name]


def check_books(world, org):
    """Every invoice matches its rows, regular ones have no gaps, and nothing unbilled is lost."""
    with world.database.reading() as session:
        account = session.get_one(Account, org)
        rows = session.scalars(
            select(Entry).where(Entry.organization_id == org).order_by(Entry.seq)
        ).all()
        invoices = session.scalars(
            select(Invoice).where(Invoice.organization_id == org).order_by(Invoice.id)
        ).all()
        notes = session.scalars(select(CreditNote).where(CreditNote.organization_id == org)).all()
        shown = {
            invoice.id: queries.show_invoice(session, invoice, clock.now()) for invoice in invoices
        }
    end = 0
    for invoice in sorted((i for i in invoices if i.is_regular), key=lambda i: i.to_seq):
        assert invoice.from_seq == end + 1
        end = invoice.to_seq
    assert end == account.invoiced_seq
    for invoice in invoices:
        mine = [r for r in rows if r.invoice_id == invoice.id]
        paid = sum(
            r.amount * ((r.credit == 4) - (r.debit == 4)) for r in mine if 2 in (r.debit, r.credit)
        )
        credited = sum(
            r.amount * ((r.credit == 4) - (r.debit == 4))
            for r in mine
            if not {2, 3} & {r.debit, r.credit}
        )
        assert (invoice.paid, invoice.credited) == (paid, credited)
        assert invoice.status == (
            "void"
            if invoice.voided_at
            else "paid"
            if paid + credited == invoice.total
            else "awaiting_payment"
        )
        assert sum(cents(line["amount"]) for line in shown[invoice.id]["lines"]) == invoice.total
        assert sum(n.tax for n in notes if n.invoice_id == invoice.id) <= invoice.tax
    assert account.invoiced == sum(invoice.open for invoice in invoices)
    into = sum(
        r.amount * ((r.debit == 3) - (r.credit == 3)) for r in rows if 4 not in (r.debit, r.credit)
    )
    assert (
        sum(invoice.total for invoice in invoices if invoice.status != "void") + account.unbilled
        == into
    )


def cents(text):
    return round(float(text) * MILLION)


def covering(world, org, transaction):
    with world.database.reading() as session:
        row = queries.rows_of(session, org, transaction["id"])[0]
        current = queries.invoice_of(session, session.get_one(Account, org), row)
        return current and current.id


def run_action(world, job, now):
    with world.database.transaction() as session:
        return job(session, now=now)
