"""What can be known about invoices: which there are, what is on them, and what is to become one."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from chassis.errors import NotFound
from chassis.runtime import clock, ids
from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select, text
from sqlalchemy.orm import Session, aliased

from billing.models import Account, CreditNote, Entry, Invoice, Provider
from billing.models.invoice import AWAITING_ONLY, NOT_YET_OVERDUE, REGULAR_ONLY
from billing.queries.accounts import account as account_of
from billing.values import AWAITING, UNIT, USAGE, VOID, Code, format_money, month_start

_ADDS, _TAKES = Entry.debit == Code.UNBILLED, Entry.credit == Code.UNBILLED
# What regular invoices are made of: what has no invoice of its own, and what comes back from void
# ones.
_REGULAR = or_(Entry.invoice_id.is_(None), and_(_ADDS, Entry.credit == Code.INVOICED))


_SIGNED = case((_ADDS, Entry.amount), else_=-Entry.amount).label("signed")
_BY_MACHINES = (USAGE, "capture")
MAX_LINES = 5000


class NoInvoice(NotFound):
    code = "not_found"
    detail = "There is no such invoice on this account."


class MonthEnd(NamedTuple):
    """Where a month ends in a journal: the last row of it, and what was unbilled then."""

    seq: int
    unbilled: int


def invoice(session: Session, organization_id: str, invoice_id: str) -> Invoice:
    """One invoice. Raises NoInvoice."""
    found = (
        session.get(Invoice, (organization_id, invoice_id))
        if ids.is_id("inv", invoice_id)
        else None
    )
    if found is None:
        raise NoInvoice()
    return found


def invoices(
    organization_id: str,
    *,
    now: datetime,
    status: str | None = None,
    overdue: bool | None = None,
    since: date | None = None,
    until: date | None = None,
) -> Select[Any]:
    """An organization's invoices, newest first; ``since`` and ``until``: the days, both included,
    on which they were issued."""
    query = (
        select(Invoice)
        .where(Invoice.organization_id == organization_id)
        .order_by(Invoice.id.desc())
    )
    if status is not None:
        query = query.where(text(AWAITING_ONLY) if status == AWAITING else Invoice.status == status)
    if overdue is True:
        query = query.where(text(AWAITING_ONLY), Invoice.due_until <= now)
    if overdue is False:
        query = query.where(or_(Invoice.status != AWAITING, Invoice.due_until > now))
    if since is not None:
        query = query.where(Invoice.issued_on >= since)
    return query if until is None else query.where(Invoice.issued_on <= until)


def show_invoice(session: Session, found: Invoice, now: datetime) -> dict[str, Any]:
    """An invoice as people see it, with all that is on it."""
    return {**show_invoice_row(found, now), **_contents(session, found)}


def show_invoice_row(found: Invoice, now: datetime) -> dict[str, Any]:
    """An invoice as people see it in a list."""

    def money(amount: int) -> str:
        return format_money(amount, found.currency)

    return {
        "id": found.id,
        "organization_id": found.organization_id,
        "number": found.number,
        "kind": found.kind,
        "status": found.status,
        "currency": found.currency,
        "total": money(found.total),
        "tax": money(found.tax),
        "net": money(found.total - found.tax),
        "tax_name": found.tax_name,
        "tax_rate": found.tax_rate,
        "paid": money(found.paid),
        "credited": money(found.credited),
        "open": money(found.open),
        "overdue": found.is_overdue(now),
        "issued_on": found.issued_on.isoformat(),
        "due_on": found.due_on.isoformat(),
        "issued_at": found.issued_at,
        "paid_at": found.paid_at,
        "voided_at": found.voided_at,
        "period": _in_order(found.about["period"]),
        "seller": _in_order(found.about["seller"]),
        "buyer": _in_order(found.about["buyer"]),
        "from_seq": found.from_seq,
        "to_seq": found.to_seq,
    }


def invoice_document(session: Session, organization_id: str, invoice_id: str) -> dict[str, Any]:
    """All that is needed to print an invoice: amounts, days and instants as text, the latter UTC.
    It changes only with what the invoice itself says, so the same invoice prints the same. Raises
    NoAccount, NoInvoice."""
    account_of(session, organization_id)
    found = invoice(session, organization_id, invoice_id)
    shown = {**show_invoice(session, found, found.issued_at), "timezone": found.about["timezone"]}
    for name in ("id", "organization_id", "overdue", "from_seq", "to_seq"):
        del shown[name]
    return {
        name: clock.stamp(value) if isinstance(value, datetime) else value
        for name, value in shown.items()
    }


def invoice_of(session: Session, account: Account, entry: Entry) -> Invoice | None:
    """The invoice on which a transaction stands, by its row that was charged to the customer; None
    while it is unbilled. What came back from a void invoice stands on the one that has taken it up
    since."""
    found = None
    if entry.invoice_id is not None:
        found = session.get_one(Invoice, (account.organization_id, entry.invoice_id))
    elif Code.UNBILLED in (entry.debit, entry.credit):
        found = _regular(session, account, entry.seq)
    while found is not None and found.status == VOID:
        found = _regular(session, account, _void_seq(session, found))
    return found


def credited_by_notes(session: Session, found: Invoice) -> int:
    """What the credit notes on an invoice come to."""
    amounts = select(CreditNote.amount).where(
        CreditNote.organization_id == found.organization_id, CreditNote.invoice_id == found.id
    )
    return sum(session.scalars(amounts))


def seller_of(session: Session, account: Account) -> Provider:
    """The account's provider, as far as it is known; not locked."""
    return session.get(Provider, account.provider_id) or Provider(
        id=account.provider_id, settings={}
    )


def accounts_to_bill(
    session: Session, now: datetime, most: int, only: str | None = None
) -> Sequence[Account]:
    """Accounts whose month is over, or this one if its is, locked; those that others lock are left
    out."""
    wanted = select(Account).where(Account.month_ends_at <= now)
    if only is not None:
        wanted = wanted.where(Account.organization_id == only)
    return session.scalars(
        wanted.order_by(Account.month_ends_at)
        .limit(most)
        .with_for_update(skip_locked=True, key_share=True)
    ).all()


def organizations_to_bill(session: Session, now: datetime, most: int = 100) -> Sequence[str]:
    """Whose month is over."""
    return session.scalars(
        select(Account.organization_id)
        .where(Account.month_ends_at <= now)
        .order_by(Account.month_ends_at)
        .limit(most)
    ).all()


def month_ends(session: Session, accounts: Sequence[Account], now: datetime) -> dict[str, MonthEnd]:
    """By organization, where the last month that is over ended in its journal; none where it was
    all on regular invoices already. Of what came in since the last invoice only the newest rows are
    read."""
    begins = {
        zone: literal(month_start(now, zone), Entry.posted_at.type)
        for zone in {a.timezone for a in accounts}
    }
    row = aliased(Entry)
    last = (
        select(row.seq)
        .where(
            row.organization_id == Account.organization_id,
            row.seq > Account.invoiced_seq,
            row.posted_at < case(begins, value=Account.timezone),
        )
        .order_by(row.seq.desc())
        .limit(1)
        .correlate(Account)
        .scalar_subquery()
    )
    found = session.execute(
        select(Entry.organization_id, Entry.seq, Entry.unbilled_after)
        .select_from(Account)
        .join(Entry, and_(Entry.organization_id == Account.organization_id, Entry.seq == last))
        .where(Account.organization_id.in_([account.organization_id for account in accounts]))
    )
    return {organization_id: MonthEnd(seq, unbilled) for organization_id, seq, unbilled in found}


def period_starts(session: Session, accounts: Sequence[Account]) -> Mapping[str, date]:
    """By organization, the day after the period of its last regular invoice; that period's last day
    itself where more may have come on it."""
    found = session.execute(
        select(Invoice.organization_id, Invoice.about, Invoice.issued_on)
        .select_from(Account)
        .join(
            Invoice,
            and_(
                Invoice.organization_id == Account.organization_id,
                Invoice.to_seq == Account.invoiced_seq,
                text(REGULAR_ONLY),
            ),
        )
        .where(Account.organization_id.in_([account.organization_id for account in accounts]))
    )
    ends = {
        row.organization_id: (date.fromisoformat(row.about["period"]["to"]), row.issued_on)
        for row in found
    }
    return {
        key: last if last == issued_on else last + timedelta(days=1)
        for key, (last, issued_on) in ends.items()
    }


def newly_overdue(session: Session, now: datetime, most: int) -> list[tuple[Account, Invoice]]:
    """Invoices not paid in time of which this was not yet said, each with its account, locked.
    Those of accounts that others lock are left out."""
    late = (text(NOT_YET_OVERDUE), Invoice.due_until <= now)
    wanted = select(Invoice.organization_id).where(*late).order_by(Invoice.due_until).limit(most)
    accounts = {
        account.organization_id: account
        for account in session.scalars(
            select(Account)
            .where(Account.organization_id.in_(session.scalars(wanted).all()))
            .order_by(Account.organization_id)
            .with_for_update(skip_locked=True, key_share=True)
        )
    }
    found = session.scalars(
        select(Invoice)
        .where(*late, Invoice.organization_id.in_(list(accounts)))
        .order_by(Invoice.due_until)
        .limit(most)
    )
    return [(accounts[row.organization_id], row) for row in found]


def _in_order(part: Any) -> Any:
    """By name, whatever order the database keeps: an invoice is the same text each time."""
    return (
        {name: _in_order(part[name]) for name in sorted(part)} if isinstance(part, dict) else part
    )


def _contents(session: Session, found: Invoice) -> dict[str, Any]:
    notes = session.scalars(
        select(CreditNote)
        .where(
            CreditNote.organization_id == found.organization_id, CreditNote.invoice_id == found.id
        )
        .order_by(CreditNote.transaction_id)
    )
    return {
        "lines": _lines(session, found),
        "credit_notes": [
            {
                "number": note.number,
                "transaction_id": note.transaction_id,
                "amount": format_money(note.amount, found.currency),
                "tax": format_money(note.tax, found.currency),
                "reason": note.reason,
                "issued_at": clock.stamp(note.issued_at),
            }
            for note in notes
        ],
    }


def _lines(session: Session, found: Invoice) -> list[dict[str, str | None]]:
    """What moved the unbilled amount within the invoice's rows, described as in the transaction's first row. Beyond
    ``MAX_LINES`` what machines have recorded is put together by kind and day (UTC), so that a page of it, or of
    paper, can still be read."""
    first = aliased(Entry)
    own: ColumnElement[bool] = _REGULAR if found.is_regular else Entry.invoice_id == found.id
    these = (
        Entry.organization_id == found.organization_id,
        Entry.seq.between(found.from_seq, found.to_seq),
        or_(_ADDS, _TAKES),
        own,
    )
    rows = (
        select(first.transaction_id, first.occurred_at, first.kind, first.description, _SIGNED)
        .join(
            first,
            and_(
                first.organization_id == Entry.organization_id,
                first.transaction_id == Entry.transaction_id,
                first.part == 0,
            ),
        )
        .where(*these)
        .order_by(Entry.seq)
    )
    lines, folded = session.execute(rows.limit(MAX_LINES + 1)).all(), []
    if len(lines) > MAX_LINES:
        folded = _folded(session, found, these)
        lines = session.execute(rows.where(Entry.kind.not_in(_BY_MACHINES))).all()
    return folded + [
        {
            "transaction_id": row.transaction_id,
            "occurred_at": clock.stamp(row.occurred_at),
            "kind": row.kind,
            "description": row.description,
            "amount": format_money(row.signed, found.currency),
        }
        for row in lines
    ]


def _folded(
    session: Session, found: Invoice, these: tuple[ColumnElement[bool], ...]
) -> list[dict[str, str | None]]:
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    moment = func.timezone("UTC", Entry.occurred_at) if is_postgresql else Entry.occurred_at
    day = func.date(moment).label("day")
    rows = session.execute(
        select(
            day,
            Entry.kind,
            func.count().label("records"),
            func.sum(_SIGNED // UNIT).label("units"),
            func.sum(_SIGNED % UNIT).label("millionths"),
        )
        .where(*these, Entry.kind.in_(_BY_MACHINES))
        .group_by(day, Entry.kind)
        .order_by(day, Entry.kind)
    )
    # At noon it is the same day nearly everywhere, so that paper shows the day that is meant.
    return [
        {
            "transaction_id": None,
            "occurred_at": f"{row.day}T12:00:00.000000Z",
            "kind": row.kind,
            "description": f"{row.kind.capitalize()}, {row.records} records",
            "amount": format_money(int(row.units) * UNIT + int(row.millionths), found.currency),
        }
        for row in rows
    ]


def _regular(session: Session, account: Account, seq: int) -> Invoice | None:
    """The regular invoice whose rows this one is among. They follow one another without a gap."""
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


def _void_seq(session: Session, found: Invoice) -> int:
    """The row by which an invoice was voided."""
    return session.scalars(
        select(Entry.seq).where(
            Entry.organization_id == found.organization_id,
            Entry.invoice_id == found.id,
            _ADDS,
            Entry.credit == Code.INVOICED,
        )
    ).one()
