"""The ledger audit: batches of a provider's accounts, every journal row of them, at one instant.

The invariants are written here a second time, deliberately independent of the code that posts, so
that a mistake there is noticed here. The databases read the rows; only totals per account and
wrong rows leave them.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from billing.models import Account, LedgerAudit, Provider
from billing.queries.ledger_audit import (
    account_checks,
    allocation_checks,
    document_checks,
    journal_checks,
)
from billing.queries.ledger_audit.account_checks import Book
from billing.queries.ledger_audit.discrepancy import BUCKETS, Discrepancy

MAX_ACCOUNTS, MAX_ROWS = 200, 50_000
SMALL_BATCH = 1_000
INTERVAL = timedelta(minutes=1)


class AuditBatch(NamedTuple):
    """The findings for the accounts after ``after`` up to ``last``.

    The first batch of a pass has ``after`` None, the last one has ``last`` None. ``audit_id``: the
    pass that it continues. ``trial_balance``: as in ``LedgerAudit``.
    """

    provider_id: str
    audit_id: int | None
    after: str | None
    last: str | None
    accounts: int
    entries: int
    trial_balance: dict[str, dict[str, Any]]
    discrepancies: list[Discrepancy]

    @property
    def is_small(self) -> bool:
        """Whether the next batch may follow at once."""
        return self.entries < SMALL_BATCH


def audit_next_batch(session: Session, now: datetime) -> AuditBatch | None:
    """The next batch of the provider that has waited longest; None if none is due.

    The session must see one instant.
    """
    newest = select(LedgerAudit.id).where(LedgerAudit.provider_id == Provider.id)
    newest = newest.order_by(LedgerAudit.id.desc()).limit(1)
    due = session.execute(
        select(Provider.id, LedgerAudit)
        .outerjoin(LedgerAudit, LedgerAudit.id == newest.correlate(Provider).scalar_subquery())
        .where(
            or_(
                LedgerAudit.id.is_(None),
                LedgerAudit.finished_at.is_(None),
                LedgerAudit.finished_at < now - INTERVAL,
            )
        )
        .order_by(LedgerAudit.id.asc().nulls_first())
        .limit(1)
    ).one_or_none()
    if due is None:
        return None
    provider_id, audit = due
    if audit is None or audit.finished_at is not None:
        return audit_batch(session, provider_id)
    return audit_batch(session, provider_id, audit_id=audit.id, after=audit.after)


def audit_batch(
    session: Session, provider_id: str, *, audit_id: int | None = None, after: str | None = None
) -> AuditBatch:
    """Check one batch: at least one account after ``after``, at most MAX_ACCOUNTS and MAX_ROWS.

    The session must see one instant.
    """
    books, last = _next_books(session, provider_id, after)
    customers: dict[str, int] = {}
    for book in books:
        if book.currency:
            credit = max(0, book.net)
            customers[book.currency] = customers.get(book.currency, 0) + credit
    if after is None:
        books += _own_book(session, provider_id)
    books_by_id = {book.organization_id: book for book in books}
    sums = journal_checks.sums(session, list(books_by_id))
    return AuditBatch(
        provider_id=provider_id,
        audit_id=audit_id,
        after=after,
        last=last,
        entries=sum(row.rows for row in sums),
        accounts=sum(book.currency is not None for book in books),
        trial_balance=account_checks.trial_balance(sums, customers),
        discrepancies=_discrepancies(session, provider_id, books_by_id, sums),
    )


def _discrepancies(
    session: Session, provider_id: str, books: dict[str, Book], sums: Sequence[Any]
) -> list[Discrepancy]:
    ids = list(books)
    surpluses = {book.organization_id: book.buckets["surplus"] for book in books.values()}
    invoiced_seqs = {book.organization_id: book.invoiced_seq for book in books.values()}
    return [
        *account_checks.invalid_rows(books, provider_id, sums),
        *account_checks.wrong_totals(books, sums),
        *journal_checks.broken_chains(session, ids),
        *journal_checks.broken_transactions(session, ids),
        *document_checks.wrong_reservations(session, ids),
        *document_checks.wrong_invoices(session, ids),
        *account_checks.wrong_parts(session, books),
        *document_checks.wrong_spendings(session, ids),
        *document_checks.wrong_ranges(session, invoiced_seqs),
        *allocation_checks.wrong_surpluses(session, surpluses),
        *allocation_checks.wrong_sources(session, ids),
        *allocation_checks.wrong_payments(session, ids),
    ]


def _next_books(
    session: Session, provider_id: str, after: str | None
) -> tuple[list[Book], str | None]:
    """The next accounts, and the id of the last one if there may be more."""
    query = (
        select(
            Account.organization_id,
            Account.seq,
            Account.invoiced_seq,
            Account.currency,
            Account.on_wallet,
            *(getattr(Account, name) for name in BUCKETS),
        )
        .where(Account.provider_id == provider_id)
        .order_by(Account.organization_id)
        .limit(MAX_ACCOUNTS)
    )
    if after is not None:
        query = query.where(Account.organization_id > after)
    accounts = session.execute(query).all()
    books: list[Book] = []
    rows = 0
    for account in accounts:
        rows += account.seq
        if books and rows > MAX_ROWS:
            break
        books.append(
            Book(
                account.organization_id,
                account.seq,
                account.invoiced_seq,
                account.currency,
                account.on_wallet,
                {name: getattr(account, name) for name in BUCKETS},
            )
        )
    may_have_more = len(books) < len(accounts) or len(accounts) == MAX_ACCOUNTS
    return books, books[-1].organization_id if may_have_more else None


def _own_book(session: Session, provider_id: str) -> list[Book]:
    """The provider's own journal; its effect on the balance is stored nowhere else."""
    seq = session.scalar(select(Provider.seq).where(Provider.id == provider_id))
    if seq is None:
        return []
    return [Book(provider_id, seq, 0, None, 0, dict.fromkeys(BUCKETS, 0))]
