"""Issuing invoices.

An invoice moves the unbilled amount to the invoiced one, so it leaves the customer's balance as it
is.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

from chassis import audit
from chassis.auth.actor import Actor
from chassis.db.bulk_sql import insert_rows
from chassis.errors import Conflict
from chassis.messaging import outbox
from chassis.runtime import ids
from contracts import billing as messages
from sqlalchemy.orm import Session

from billing import queries
from billing.actions.ledger import bulk_writes, posting, sources
from billing.actions.ledger.entries import Posted, enter
from billing.actions.ledger.refusals import AmountTooLarge
from billing.actions.payments import allocation
from billing.models import Account, Invoice, Provider
from billing.models.decisions import Posting, Refusal, within_range
from billing.models.drafts import (
    Customer,
    Draft,
    Range,
    Supplies,
    TaxTerms,
    draft,
    one_supply,
    regular_kind,
    tax_terms,
    unbilled_range,
)
from billing.models.snapshot import READ, Snapshot
from billing.values import (
    INDIVIDUAL,
    INDIVIDUALLY_INVOICED,
    PREPAID,
    Code,
    Transfer,
    format_money,
    local_day,
)

_INVOICES: Any = Invoice.__table__


class NothingToInvoice(Conflict):
    code = "nothing_to_invoice"
    detail = "The account has no unbilled charges. Charge it first, or wait for usage."


class InvoiceVoid(Conflict):
    code = "invoice_void"
    detail = "This invoice is already void. Its charges go on the next invoice."


class Issue(NamedTuple):
    """An invoice that is to be issued, and what is posted for it."""

    customer: Customer
    invoice: Draft
    posted: Posted


def issue_invoice(
    session: Session, *, organization_id: str, now: datetime, by: Actor
) -> dict[str, Any]:
    """Invoice the whole unbilled amount; returns the invoice.

    Raises NoAccount, AccountClosed, NothingToInvoice, AmountTooLarge.
    """
    account = posting.lock_account(session, organization_id)
    if account.payment_mode == PREPAID or not account.unbilled:
        raise NothingToInvoice()
    customer, seller = Customer.of(account), _seller_of(session, account)
    previous = queries.last_periods(session, [organization_id]).get(organization_id)
    covered = unbilled_range(customer, account.seq, account.unbilled, previous, now)
    terms = {organization_id: tax_terms(customer, seller)}
    supplies = supplies_of(session, {organization_id: covered}, terms)[organization_id]
    snapshot = snapshot_of(customer, seller, attrgetter(*READ)(account), now)
    issue = prepare(customer, snapshot, seller, covered, supplies, now=now, by=by)
    if issue is None:
        raise NothingToInvoice()
    write(session, [issue], now=now, by=by)
    session.expire(account)
    invoice = session.get_one(Invoice, (organization_id, issue.invoice.id))
    return queries.show_invoice(session, invoice, now)


def snapshot_of(
    customer: Customer, seller: Provider, columns: Sequence[Any], now: datetime
) -> Snapshot:
    """The locked account; ``columns``: its columns ``READ``."""
    return Snapshot.of(
        ids.to_uuid("org", customer.organization_id),
        ids.to_uuid("org", customer.provider_id),
        queries.low_threshold(seller.setting("low_credit_threshold")),
        columns,
        now,
    )


def supplies_of(
    session: Session, ranges: Mapping[str, Range], terms: Mapping[str, TaxTerms]
) -> dict[str, Supplies]:
    """By organization, what the lines in its range add up to."""
    spans = [
        queries.Span(organization_id, covered.from_seq, covered.to_seq)
        for organization_id, covered in ranges.items()
    ]
    return queries.supplies(session, spans, terms) if spans else {}


def prepare(
    customer: Customer,
    snapshot: Snapshot,
    seller: Provider,
    covered: Range,
    supplies: Supplies,
    *,
    now: datetime,
    by: Actor,
) -> Issue | None:
    """A regular invoice, posted on the snapshot, whose surplus pays it; None if its total is
    rounded to zero. Raises AmountTooLarge."""
    invoice = draft(customer, seller, covered, supplies, regular_kind(seller), now)
    if invoice is None:
        return None
    transfers = issue_transfers(invoice, snapshot.surplus)
    posting_ = within_range(snapshot, Posting("invoice", transfers, f"Invoice {invoice.number}"))
    if isinstance(posting_, Refusal):
        raise AmountTooLarge()
    return Issue(customer, invoice, enter(snapshot, posting_, by=by, now=now))


def write(
    session: Session,
    issues: Sequence[Issue],
    *,
    now: datetime,
    by: Actor,
    month_ends: Sequence[datetime] = (),
) -> None:
    """Write, record and publish the invoices, of different accounts, with what was posted.
    ``month_ends``: the ends of the months that have begun, if months are being closed."""
    if not issues:
        return
    insert_rows(session, _INVOICES, Draft._fields, [issue.invoice.row() for issue in issues])
    columns: dict[str, Sequence[Any]] = {
        "invoices": [issue.customer.invoices + 1 for issue in issues],
        "invoiced_seq": [issue.invoice.to_seq for issue in issues],
    }
    if month_ends:
        columns["month_ends_at"] = month_ends
    posted = [issue.posted for issue in issues]
    bulk_writes.write(session, posted, now=now, columns=columns)
    sources.note_all(session, posted)
    paying: list[Issue] = []
    for issue in issues:
        transfers = issue.posted.posting.transfers
        email = issue.customer.billing.get("email")
        record_issued(session, issue.invoice, transfers, email=email, now=now, by=by)
        if any(transfer.credit == Code.INVOICED for transfer in transfers):
            paying.append(issue)
    allocation.update_invoices_of(
        session,
        [issue.customer.organization_id for issue in paying],
        [transfer for issue in paying for transfer in issue.posted.posting.transfers],
        now,
    )


def create_individual(
    session: Session, account: Account, amount: int, row_count: int, *, kind: str, now: datetime
) -> Invoice | None:
    """The invoice for this one charge; None if the provider does not invoice it individually, or
    its total is rounded to zero.

    ``row_count``: the number of rows the charge will have. The first one carries the invoice id,
    and the transfers of ``issue_transfers`` are posted with it.
    """
    if kind not in INDIVIDUALLY_INVOICED or account.payment_mode == PREPAID:
        return None
    seller = _seller_of(session, account)
    if seller.setting("invoicing") != INDIVIDUAL:
        return None
    customer, today = Customer.of(account), local_day(now, account.timezone)
    covered = Range(account.seq + 1, account.seq + row_count, amount, today, today)
    supplies = one_supply(tax_terms(customer, seller), amount, today)
    issued = draft(customer, seller, covered, supplies, INDIVIDUAL, now)
    if issued is None:
        return None
    account.invoices += 1
    invoice = Invoice(**issued._asdict())
    session.add(invoice)
    return invoice


def issue_transfers(invoice: Invoice | Draft, surplus: int) -> tuple[Transfer, ...]:
    """Make the invoice due, rounded, and pay it from the surplus at once. Older open invoices take
    nothing of that: it was left unassigned by choice."""
    due = Transfer(Code.INVOICED, Code.UNBILLED, invoice.total, invoice.id)
    paying = allocation.pay_from_surplus([invoice], surplus)
    return (*rounding_transfers(invoice.rounding, invoice.id), due, *paying)


def rounding_transfers(rounding: int, invoice_id: str) -> list[Transfer]:
    """Add the difference to what is unbilled, or take it off."""
    if rounding > 0:
        return [Transfer(Code.UNBILLED, Code.ROUNDING, rounding, invoice_id)]
    if rounding < 0:
        return [Transfer(Code.ROUNDING, Code.UNBILLED, -rounding, invoice_id)]
    return []


def _seller_of(session: Session, account: Account) -> Provider:
    return queries.sellers(session, {account.provider_id})[account.provider_id]


def record_issued(
    session: Session,
    invoice: Invoice | Draft,
    transfers: Iterable[Transfer],
    *,
    email: str | None,
    now: datetime,
    by: Actor,
) -> None:
    """Record and publish the invoice that these transfers issued."""

    def money(amount: int) -> str:
        return format_money(amount, invoice.currency)

    record_action(session, invoice, "invoice.issued", by=by, now=now)
    paid = 0
    for transfer in transfers:
        if transfer.invoice_id == invoice.id and transfer.debit == Code.SURPLUS:
            paid += transfer.amount
    outbox.publish(
        session,
        messages.InvoiceIssued(
            organization_id=invoice.organization_id,
            provider_id=invoice.provider_id,
            invoice_id=invoice.id,
            number=invoice.number,
            kind=invoice.kind,
            currency=invoice.currency,
            total=money(invoice.total),
            tax=money(invoice.tax),
            open=money(invoice.total - paid),
            issued_on=invoice.issued_on.isoformat(),
            due_on=invoice.due_on.isoformat(),
            email=email,
        ),
    )


def record_action(
    session: Session,
    invoice: Invoice | Draft,
    action: str,
    *,
    by: Actor,
    now: datetime,
    reason: str | None = None,
    changes: list[dict[str, Any]] | None = None,
) -> None:
    """Record an action on an invoice in the audit log."""
    audit.record(
        session,
        messages.AuditRecorded,
        organization_id=invoice.organization_id,
        provider_id=invoice.provider_id,
        action=action,
        by=by,
        now=now,
        reason=reason,
        changes=changes,
        target={"type": "invoice", "id": invoice.id, "label": invoice.number},
    )
