"""Checks of what is stored on the accounts against the totals of their journals."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from billing.queries.ledger_audit import document_checks
from billing.queries.ledger_audit.discrepancy import (
    BUCKET_SIGNS,
    Discrepancy,
    code_label,
    whole,
)
from billing.values import MAX_STORED, Code, format_money

# Accounts of the chart that may only stand opposite one other account.
_ONLY_COUNTERPART = {
    Code.HELD: Code.SET_ASIDE,
    Code.SET_ASIDE: Code.HELD,
    Code.COST: Code.WALLET,
    Code.FUNDING: Code.WALLET,
    Code.BILLED_ELSEWHERE: Code.REVENUE,
}


class Book(NamedTuple):
    """What is stored about a journal outside of it.

    ``currency`` None: any currency, as in a provider's own journal.
    """

    organization_id: str
    seq: int
    invoiced_seq: int
    currency: str | None
    on_wallet: int
    buckets: dict[str, int]

    @property
    def net(self) -> int:
        buckets = self.buckets
        return buckets["prepaid"] + buckets["surplus"] - buckets["unbilled"] - buckets["invoiced"]


def trial_balance(sums: Sequence[Any], customers: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Both legs of every row, by currency and account. ``customers``: their credit by currency."""
    balance: dict[str, dict[str, Any]] = {}
    for currency, amount in customers.items():
        balance[currency] = {"accounts": {}, "customers": amount}
    for row in sums:
        in_currency = balance.setdefault(row.currency, {"accounts": {}, "customers": 0})
        accounts = in_currency["accounts"]
        accounts.setdefault(code_label(row.debit), [0, 0])[0] += whole(row)
        accounts.setdefault(code_label(row.credit), [0, 0])[1] += whole(row)
    return balance


def invalid_rows(
    books: dict[str, Book], provider_id: str, sums: Sequence[Any]
) -> list[Discrepancy]:
    """Rows that cannot be valid: amounts, pairs of accounts, foreign currencies and providers."""
    discrepancies = []
    for row in sums:
        for problem in _problems(row, books[row.organization_id], provider_id):
            discrepancies.append(Discrepancy(row.organization_id, "conservation", problem))
    return discrepancies


def _problems(row: Any, book: Book, provider_id: str) -> list[str]:
    legs = f"{code_label(row.debit)} to {code_label(row.credit)}"
    where = f"{row.rows} rows from row {row.first}: {legs}"
    problems = []
    if row.least <= 0:
        problems.append(f"the smallest amount is {row.least}")
    if not _may_be_paired(row.debit, row.credit):
        problems.append(f"invalid pair of accounts in {where}")
    if book.currency is not None and row.currency != book.currency:
        problems.append(f"the currency is {row.currency}, not {book.currency}, in {where}")
    if row.provider_id != provider_id:
        problems.append(f"the provider is {row.provider_id} in {where}")
    if book.currency is None and Code.WALLET not in (row.debit, row.credit):
        problems.append(f"not an entry of a provider's own journal in {where}")
    return problems


def _may_be_paired(debit: int, credit: int) -> bool:
    legs = {debit, credit}
    if len(legs) != 2 or not legs <= set(Code):
        return False
    debit_counterpart = _ONLY_COUNTERPART.get(Code(debit), credit)
    credit_counterpart = _ONLY_COUNTERPART.get(Code(credit), debit)
    return debit_counterpart == credit and credit_counterpart == debit


def wrong_totals(books: dict[str, Book], sums: Sequence[Any]) -> list[Discrepancy]:
    """Accounts whose number of rows or figures differ from their journal."""
    discrepancies = []
    for book in books.values():
        rows = [row for row in sums if row.organization_id == book.organization_id]
        discrepancies += _wrong_sequence(book, rows)
        if book.currency is not None:
            discrepancies += _wrong_figures(book, rows)
    return discrepancies


def _wrong_sequence(book: Book, rows: Sequence[Any]) -> list[Discrepancy]:
    count = sum(row.rows for row in rows)
    last = max((row.last for row in rows), default=0)
    if book.seq == count == last:
        return []
    detail = f"the account counts {book.seq} rows, the journal has {count}, the last is {last}"
    return [Discrepancy(book.organization_id, "sequence", detail)]


def _wrong_figures(book: Book, rows: Sequence[Any]) -> list[Discrepancy]:
    stored = {**book.buckets, "on_wallet": book.on_wallet}
    signs = {**BUCKET_SIGNS, "on_wallet": (Code.WALLET, -1)}
    discrepancies = []
    for name, (code, sign) in signs.items():
        posted = 0
        for row in rows:
            posted += sign * whole(row) * ((row.credit == code) - (row.debit == code))
        if posted != stored[name] or abs(posted) > MAX_STORED:
            discrepancies.append(
                _unequal(book, "cache_is_history", name, stored[name], "its journal", posted)
            )
    return discrepancies


def wrong_parts(session: Session, books: dict[str, Book]) -> list[Discrepancy]:
    """Accounts whose held or invoiced amount differs from their reservations or invoices."""
    organization_ids = list(books)
    held = document_checks.held_amounts(session, organization_ids)
    invoiced = document_checks.open_amounts(session, organization_ids)
    discrepancies = []
    for book in books.values():
        stored, actual = book.buckets["held"], held.get(book.organization_id, 0)
        if stored != actual:
            discrepancies.append(
                _unequal(book, "reservations", "held", stored, "its open reservations", actual)
            )
    for book in books.values():
        stored, actual = book.buckets["invoiced"], invoiced.get(book.organization_id, 0)
        if stored != actual:
            discrepancies.append(
                _unequal(book, "invoices", "invoiced", stored, "its invoices", actual)
            )
    return discrepancies


def _unequal(
    book: Book, invariant: str, name: str, stored: int, source: str, actual: int
) -> Discrepancy:
    stored_shown = format_money(stored, str(book.currency))
    actual_shown = format_money(actual, str(book.currency))
    return Discrepancy(
        book.organization_id, invariant, f"{name} is {stored_shown}, by {source} {actual_shown}"
    )
