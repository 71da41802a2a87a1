"""Whether the books are right: a piece of one provider's, every row of it, seen at one instant.

What must hold is written down here a second time, on purpose apart from the code that posts, so
that a slip there is seen here. The databases go through the rows; only sums per account and rows
that are wrong leave them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from billing.models import Account, LedgerAudit, Provider
from billing.queries.ledger_audit import checks
from billing.queries.ledger_audit.checks import BUCKETS, GROWS, Discrepancy
from billing.values import MAX_STORED, Code, format_money

ACCOUNTS, ROWS, FEW = 200, 50_000, 1_000
AGAIN = timedelta(minutes=1)
# Accounts that stand opposite one other only.
_PAIRS = {
    Code.HELD: Code.SET_ASIDE,
    Code.SET_ASIDE: Code.HELD,
    Code.COST: Code.WALLET,
    Code.FUNDING: Code.WALLET,
    Code.BILLED_ELSEWHERE: Code.REVENUE,
}


class Book(NamedTuple):
    """What is kept about a journal outside of it. ``currency`` None: any, as in a provider's own
    journal."""

    organization_id: str
    seq: int
    invoiced_seq: int
    currency: str | None
    on_wallet: int
    buckets: dict[str, int]


class AuditBatch(NamedTuple):
    """What was found in the books from behind ``after`` up to ``last``; the first piece begins at
    None, the last one ends there. ``audit_id``: the pass it goes on with. ``trial_balance``: by
    currency, what was debited and credited by account, and the customers' positive money."""

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
        """Whether there is time for another one at once."""
        return self.entries < FEW


def audit_next_batch(session: Session, now: datetime) -> AuditBatch | None:
    """The next piece of the books that have waited longest; None when all were gone through within
    a minute.

    The session must see one instant."""
    newest = select(LedgerAudit.id).where(LedgerAudit.provider_id == Provider.id)
    newest = newest.order_by(LedgerAudit.id.desc()).limit(1)
    turn = session.execute(
        select(Provider.id, LedgerAudit)
        .outerjoin(LedgerAudit, LedgerAudit.id == newest.correlate(Provider).scalar_subquery())
        .where(
            or_(
                LedgerAudit.id.is_(None),
                LedgerAudit.finished_at.is_(None),
                LedgerAudit.finished_at < now - AGAIN,
            )
        )
        .order_by(LedgerAudit.id.asc().nulls_first())
        .limit(1)
    ).one_or_none()
    if turn is None:
        return None
    provider_id, proof = turn
    if proof is None or proof.finished_at is not None:
        return audit_batch(session, provider_id)
    return audit_batch(session, provider_id, audit_id=proof.id, after=proof.after)


def audit_batch(
    session: Session, provider_id: str, *, audit_id: int | None = None, after: str | None = None
) -> AuditBatch:
    """Go through one piece: so many accounts behind ``after`` as have together no more rows than a
    piece, one at least. The session must see one instant."""
    books, last = _page(session, provider_id, after)
    customers = {book.currency: 0 for book in books if book.currency}
    for book in books:
        if book.currency:
            customers[book.currency] += max(0, _net(book))
    if after is None:
        books += _own(session, provider_id)
    found = {book.organization_id: book for book in books}
    sums = checks.sums(session, list(found))
    return AuditBatch(
        provider_id=provider_id,
        audit_id=audit_id,
        after=after,
        last=last,
        entries=sum(row.rows for row in sums),
        accounts=sum(book.currency is not None for book in books),
        trial_balance=_trial_balance(sums, customers),
        discrepancies=_discrepancies(session, provider_id, found, sums),
    )


def _discrepancies(
    session: Session, provider_id: str, books: dict[str, Book], sums: Sequence[Any]
) -> list[Discrepancy]:
    """What does not hold in these books, by every check there is."""
    asked = list(books)
    return [
        *_unbalanced(books, provider_id, sums),
        *_unlike_history(books, sums),
        *checks.broken_chains(session, asked),
        *checks.broken_transactions(session, asked),
        *checks.wrong_reservations(session, asked),
        *checks.wrong_invoices(session, asked),
        *_unlike_parts(session, books),
        *checks.wrong_spendings(session, asked),
        *checks.wrong_ranges(
            session, {book.organization_id: book.invoiced_seq for book in books.values()}
        ),
    ]


def _page(session: Session, provider_id: str, after: str | None) -> tuple[list[Book], str | None]:
    """The next books, and the last of them if there may be more."""
    columns = (getattr(Account, name) for name in BUCKETS)
    wanted = select(
        Account.organization_id,
        Account.seq,
        Account.invoiced_seq,
        Account.currency,
        Account.on_wallet,
        *columns,
    )
    wanted = (
        wanted.where(Account.provider_id == provider_id)
        .order_by(Account.organization_id)
        .limit(ACCOUNTS)
    )
    found = session.execute(
        wanted if after is None else wanted.where(Account.organization_id > after)
    ).all()
    books: list[Book] = []
    for row in found:
        if books and sum(book.seq for book in books) + row.seq > ROWS:
            break
        books.append(
            Book(
                row.organization_id,
                row.seq,
                row.invoiced_seq,
                row.currency,
                row.on_wallet,
                {name: getattr(row, name) for name in BUCKETS},
            )
        )
    more = len(books) < len(found) or len(found) == ACCOUNTS
    return books, books[-1].organization_id if more else None


def _own(session: Session, provider_id: str) -> list[Book]:
    """The provider's own journal; what it did to the balance is kept nowhere else."""
    seq = session.scalar(select(Provider.seq).where(Provider.id == provider_id))
    return [] if seq is None else [Book(provider_id, seq, 0, None, 0, dict.fromkeys(BUCKETS, 0))]


def _net(book: Book) -> int:
    buckets = book.buckets
    return buckets["prepaid"] + buckets["surplus"] - buckets["unbilled"] - buckets["invoiced"]


def _trial_balance(sums: Sequence[Any], customers: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Both legs of every row, by currency and account."""
    found: dict[str, dict[str, Any]] = {
        c: {"accounts": {}, "customers": amount} for c, amount in customers.items()
    }
    for row in sums:
        accounts = found.setdefault(row.currency, {"accounts": {}, "customers": 0})["accounts"]
        for side, code in enumerate((row.debit, row.credit)):
            accounts.setdefault(checks.label(code), [0, 0])[side] += checks.whole(row)
    return found


def _unbalanced(books: dict[str, Book], provider_id: str, sums: Sequence[Any]) -> list[Discrepancy]:
    """Rows of a kind that can not be: amounts, accounts that do not go together, foreign currencies
    and providers."""
    found = []
    for row in sums:
        book, legs = books[row.organization_id], {row.debit, row.credit}
        where = f"{row.rows} rows from {row.first} on: {checks.label(row.debit)} to {checks.label(row.credit)}"
        wrong = {
            f"the smallest amount is {row.least}": row.least <= 0,
            f"these accounts do not go together, in {where}": not _go_together(
                row.debit, row.credit
            ),
            f"the currency is {row.currency}, not {book.currency}, in {where}": row.currency
            != book.currency
            and book.currency is not None,
            f"the provider is {row.provider_id}, in {where}": row.provider_id != provider_id,
            f"not an entry of a provider's own, in {where}": book.currency is None
            and Code.WALLET not in legs,
        }
        found += [
            Discrepancy(row.organization_id, "conservation", detail)
            for detail, is_so in wrong.items()
            if is_so
        ]
    return found


def _go_together(debit: int, credit: int) -> bool:
    legs = {debit, credit}
    return (
        len(legs) == 2
        and legs <= set(Code)
        and all(
            _PAIRS.get(Code(one), other) == other
            for one, other in ((debit, credit), (credit, debit))
        )
    )


def _unlike_history(books: dict[str, Book], sums: Sequence[Any]) -> list[Discrepancy]:
    """Accounts whose figures are not what their rows add up to, or that have not as many rows as
    they count."""
    found = []
    for book in books.values():
        rows = [row for row in sums if row.organization_id == book.organization_id]
        count, last = sum(row.rows for row in rows), max((row.last for row in rows), default=0)
        if not book.seq == count == last:
            found.append(
                Discrepancy(
                    book.organization_id,
                    "sequence",
                    f"{book.seq} rows counted, {count} there, the last is {last}",
                )
            )
        if book.currency is None:
            continue
        kept = {**book.buckets, "on_wallet": book.on_wallet}
        signs = {**GROWS, "on_wallet": (Code.WALLET, -1)}
        for name, (code, sign) in signs.items():
            fold = sum(
                sign * checks.whole(row) * ((row.credit == code) - (row.debit == code))
                for row in rows
            )
            if fold != kept[name] or abs(fold) > MAX_STORED:
                found.append(
                    _unequal(book, "cache_is_history", name, kept[name], "its journal", fold)
                )
    return found


def _unlike_parts(session: Session, books: dict[str, Book]) -> list[Discrepancy]:
    """Accounts that hold something else than their open reservations, or are owed something else
    than their invoices ask for."""
    found = []
    for name, invariant, what, parts in (
        ("held", "reservations", "its open reservations", checks.held(session, list(books))),
        ("invoiced", "invoices", "its invoices", checks.owed(session, list(books))),
    ):
        for book in books.values():
            fold = parts.get(book.organization_id, 0)
            if fold != book.buckets[name]:
                found.append(_unequal(book, invariant, name, book.buckets[name], what, fold))
    return found


def _unequal(book: Book, invariant: str, name: str, kept: int, what: str, fold: int) -> Discrepancy:
    kept_shown, fold_shown = (format_money(amount, str(book.currency)) for amount in (kept, fold))
    return Discrepancy(
        book.organization_id, invariant, f"{name} is {kept_shown}, by {what} {fold_shown}"
    )
