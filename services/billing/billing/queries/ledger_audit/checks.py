"""The checks of the auditor that the databases make, over the rows of some journals, set-based and
without changing anything; and what its passes have found."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chassis.errors import NotFound
from sqlalchemy import (
    Numeric,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.orm import Session, aliased

from billing.models import Entry, Invoice, LedgerAudit, Reservation, Spending
from billing.models.invoice import REGULAR_ONLY
from billing.values import PAID, UNIT, VOID, Code, format_money

MOST = 1_000
# The buckets: the account each is, and whether a credit makes it grow or shrink.
GROWS = {
    "prepaid": (Code.PREPAID, 1),
    "surplus": (Code.SURPLUS, 1),
    "unbilled": (Code.UNBILLED, -1),
    "invoiced": (Code.INVOICED, -1),
    "held": (Code.HELD, 1),
}
BUCKETS = tuple(GROWS)
_ORDER = {code.label: code.value for code in Code}
_NET = (Code.PREPAID, Code.SURPLUS, Code.UNBILLED, Code.INVOICED)


class Discrepancy(NamedTuple):
    """Something that does not hold, about whom, and the figures that do not agree."""

    organization_id: str
    invariant: str
    detail: str


class NoAudit(NotFound):
    code = "not_found"
    detail = "The ledger audit of your accounts has not run yet. Try again in a minute."


def last_audit(session: Session, provider_id: str) -> dict[str, Any]:
    """What the latest finished pass through a provider's books found, amounts as decimal strings.
    Raises NoAudit."""
    found = session.scalars(
        select(LedgerAudit)
        .where(LedgerAudit.provider_id == provider_id, LedgerAudit.finished_at.is_not(None))
        .order_by(LedgerAudit.id.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        raise NoAudit()
    return {
        "status": found.status,
        "started_at": found.started_at,
        "finished_at": found.finished_at,
        "accounts": found.accounts,
        "entries": found.entries,
        "discrepancies": found.discrepancies,
        "trial_balance": [
            _show(currency, sums) for currency, sums in sorted(found.trial_balance.items())
        ],
    }


def label(code: int) -> str:
    """The name of an account in the chart, or the bare number where there is none."""
    return Code(code).label if code in set(Code) else str(code)


def whole(row: Any) -> int:
    """The sum of amounts in a row of ``sums``."""
    return int(row.units or 0) * UNIT + int(row.millionths or 0)


def sums(session: Session, books: Sequence[str]) -> Sequence[Any]:
    """By journal, provider, currency and pair of accounts: how many rows, from where to where, the
    smallest amount and the sum, in two halves."""
    kinds = (Entry.organization_id, Entry.provider_id, Entry.currency, Entry.debit, Entry.credit)
    return session.execute(
        select(
            *kinds,
            func.count().label("rows"),
            func.min(Entry.seq).label("first"),
            func.max(Entry.seq).label("last"),
            func.min(Entry.amount).label("least"),
            *_halves(Entry.amount),
        )
        .where(Entry.organization_id.in_(books))
        .group_by(*kinds)
    ).all()


def broken_chains(session: Session, books: Sequence[str]) -> list[Discrepancy]:
    """Rows that do not follow the one before: by their number, or because a bucket after it is not
    the bucket before and what the row did; and last rows of transactions whose balance is not that
    of the buckets."""
    order: dict[str, Any] = {"partition_by": Entry.organization_id, "order_by": Entry.seq}
    before = [
        func.lag(_after(name), 1, 0).over(**order).label(f"{name}_before") for name in BUCKETS
    ]
    rows = (
        select(
            Entry.organization_id,
            Entry.seq,
            Entry.provider_id,
            Entry.currency,
            Entry.transaction_id,
            Entry.debit,
            Entry.credit,
            Entry.amount,
            Entry.balance_after,
            *(_after(name) for name in BUCKETS),
            *before,
            func.lag(Entry.seq, 1, 0).over(**order).label("seq_before"),
            func.lead(Entry.transaction_id).over(**order).label("next_id"),
        )
        .where(Entry.organization_id.in_(books))
        .subquery()
    )
    c = rows.c
    jumps = [
        _exact(c[f"{name}_after"]) != _exact(c[f"{name}_before"]) + _effect(c, name)
        for name in BUCKETS
    ]
    wrong = (c.seq != c.seq_before + 1, *jumps, _wrong_balance(c))
    found = session.execute(
        select(
            rows, *(case((flag, 1), else_=0).label(f"wrong_{n}") for n, flag in enumerate(wrong))
        )
        .where(or_(*wrong))
        .order_by(c.organization_id, c.seq)
        .limit(MOST)
    )
    return [discrepancy for row in found for discrepancy in _say_broken(row)]


def broken_transactions(session: Session, books: Sequence[str]) -> list[Discrepancy]:
    """Transactions whose rows are not parts 0, 1, 2 … one after the other, are not of one kind and
    balance, or did something else to the customer's net (in a provider's own journal, to its
    balance) than they say."""
    sign = case(
        (Entry.organization_id == Entry.provider_id, _side(Entry, (Code.WALLET,), -1)),
        else_=_side(Entry, _NET, 1),
    )
    count, told, did = func.count(), _total(Entry.moved), _total(Entry.amount * sign)
    found = session.execute(
        select(
            Entry.organization_id,
            Entry.transaction_id,
            func.min(Entry.seq).label("first"),
            count.label("rows"),
        )
        .where(Entry.organization_id.in_(books))
        .group_by(Entry.organization_id, Entry.transaction_id)
        .having(
            or_(
                func.min(Entry.part) != 0,
                func.max(Entry.part) != count - 1,
                func.max(Entry.seq) - func.min(Entry.seq) != count - 1,
                told != did,
                func.min(Entry.kind) != func.max(Entry.kind),
                func.min(Entry.balance_after) != func.max(Entry.balance_after),
                func.sum(case((and_(Entry.part != 0, Entry.moved != 0), 1), else_=0)) != 0,
            )
        )
        .limit(MOST)
    )
    return [
        Discrepancy(
            row.organization_id,
            "transactions",
            f"{row.transaction_id}, {row.rows} rows from {row.first} on: "
            "its parts do not follow one another, or it moved something else than it says",
        )
        for row in found
    ]


def wrong_reservations(session: Session, books: Sequence[str]) -> list[Discrepancy]:
    """Reservations whose amount, what was captured or what was let go is not what the transactions
    that name them say; and those that only one side knows."""
    first, row, none = aliased(Entry), aliased(Entry), literal(0)
    kept = select(
        Reservation.organization_id.label("book"),
        Reservation.id.label("id"),
        literal(1).label("known"),
        Reservation.amount.label("held"),
        (Reservation.captured + Reservation.released).label("freed"),
        Reservation.captured.label("captured"),
    ).where(Reservation.organization_id.in_(books))
    done = (
        select(
            first.organization_id,
            first.reservation_id,
            none,
            -_amount(row, row.credit == Code.HELD),
            -_amount(row, row.debit == Code.HELD),
            -_amount(row, row.credit == Code.REVENUE),
        )
        .join(
            row,
            (row.organization_id == first.organization_id)
            & (row.transaction_id == first.transaction_id),
        )
        .where(first.organization_id.in_(books), first.part == 0, first.reservation_id.is_not(None))
    )
    return [
        Discrepancy(
            found.book, "reservations", f"{found.id} and the journal's rows about it do not agree"
        )
        for found in session.execute(_unlike(kept, done, "held", "freed", "captured"))
    ]


def wrong_invoices(session: Session, books: Sequence[str]) -> list[Discrepancy]:
    """Invoices of which something else was paid, credited or is open than the journal's rows with
    their id say. What comes from the surplus pays, what is unbilled was only put on it or taken off
    again, anything else credits."""
    debit, credit = Entry.debit == Code.INVOICED, Entry.credit == Code.INVOICED
    other = case((credit, Entry.debit), else_=Entry.credit)
    settled = case((credit, Entry.amount), else_=-Entry.amount)
    kept = select(
        Invoice.organization_id.label("book"),
        Invoice.id.label("id"),
        literal(1).label("known"),
        Invoice.paid.label("paid"),
        Invoice.credited.label("credited"),
        _open().label("open"),
    ).where(Invoice.organization_id.in_(books))
    done = select(
        Entry.organization_id,
        Entry.invoice_id,
        literal(0),
        -case((other == Code.SURPLUS, settled), else_=0),
        -case((other.not_in((Code.SURPLUS, Code.UNBILLED)), settled), else_=0),
        settled,
    ).where(Entry.organization_id.in_(books), Entry.invoice_id.is_not(None), or_(debit, credit))
    return [
        Discrepancy(
            found.book, "invoices", f"{found.id} and the journal's rows about it do not agree"
        )
        for found in session.execute(_unlike(kept, done, "paid", "credited", "open"))
    ]


def wrong_ranges(session: Session, books: Mapping[str, int]) -> list[Discrepancy]:
    """Invoices that do not begin in the journal where the one before ended, apart from those for
    one charge alone; and accounts invoiced to another row than the last of them, by account the
    row."""
    before = func.lag(Invoice.to_seq, 1, 0).over(
        partition_by=Invoice.organization_id, order_by=Invoice.to_seq
    )
    rows = select(
        Invoice.organization_id,
        Invoice.id,
        Invoice.from_seq,
        Invoice.to_seq,
        before.label("before"),
    )
    rows = rows.where(Invoice.organization_id.in_(books), text(REGULAR_ONLY))
    c = rows.subquery().c
    ends = select(c.organization_id, func.max(c.to_seq).label("last")).group_by(c.organization_id)
    found = [
        Discrepancy(
            row.organization_id,
            "invoices",
            f"{row.id} begins at row {row.from_seq}, the one before ended at {row.before}",
        )
        for row in session.execute(select(*c).where(c.from_seq != c.before + 1).limit(MOST))
    ]
    last = {row.organization_id: row.last for row in session.execute(ends)}
    return found + [
        Discrepancy(
            book, "invoices", f"invoiced to row {seq}, by its invoices to {last.get(book, 0)}"
        )
        for book, seq in books.items()
        if last.get(book, 0) != seq
    ]


def wrong_spendings(session: Session, books: Sequence[str]) -> list[Discrepancy]:
    """Days on which less than nothing was spent."""
    wanted = (
        select(Spending).where(Spending.organization_id.in_(books), Spending.amount < 0).limit(MOST)
    )
    return [
        Discrepancy(row.organization_id, "spendings", f"on {row.day} less than nothing was spent")
        for row in session.scalars(wanted)
    ]


def held(session: Session, books: Sequence[str]) -> dict[str, int]:
    """By account, what its open reservations still hold."""
    left = Reservation.amount - Reservation.captured - Reservation.released
    return _by_book(session, Reservation, left, books, Reservation.status == "open")


def owed(session: Session, books: Sequence[str]) -> dict[str, int]:
    """By account, what its invoices still ask for."""
    return _by_book(session, Invoice, _open(), books, Invoice.status.not_in((PAID, VOID)))


def _by_book(
    session: Session, model: Any, amount: Any, books: Sequence[str], which: Any
) -> dict[str, int]:
    wanted = select(model.organization_id, *_halves(amount)).where(
        model.organization_id.in_(books), which
    )
    return {
        row.organization_id: whole(row)
        for row in session.execute(wanted.group_by(model.organization_id))
    }


def _unlike(kept: Any, done: Any, *figures: str) -> Select[Any]:
    """Things whose figures, as kept and as the journal's rows say with the opposite sign, do not
    add up to nothing."""
    both = union_all(kept, done).subquery()
    return (
        select(both.c.book, both.c.id)
        .group_by(both.c.book, both.c.id)
        .having(or_(func.sum(both.c.known) != 1, *(_total(both.c[name]) != 0 for name in figures)))
        .limit(MOST)
    )


def _open() -> Any:
    return case((Invoice.status == VOID, 0), else_=Invoice.total - Invoice.paid - Invoice.credited)


def _after(name: str) -> Any:
    return getattr(Entry, f"{name}_after")


def _side(row: Any, codes: Sequence[Code], sign: int) -> Any:
    """+``sign`` where one of the accounts is credited, -``sign`` where one is debited; 0 where
    neither or both."""
    return case((row.credit.in_(codes), sign), else_=0) - case(
        (row.debit.in_(codes), sign), else_=0
    )


def _effect(row: Any, name: str) -> Any:
    """What the row does to a bucket."""
    code, sign = GROWS[name]
    return case(
        (row.credit == code, sign * _exact(row.amount)),
        (row.debit == code, -sign * _exact(row.amount)),
        else_=0,
    )


def _wrong_balance(row: Any) -> Any:
    """Whether the last row of a customer's transaction shows a balance of neither payment mode."""
    prepaid = _exact(row.prepaid_after) - row.held_after
    postpaid = _exact(row.surplus_after) - row.invoiced_after - row.unbilled_after
    return and_(
        or_(row.next_id.is_(None), row.next_id != row.transaction_id),
        row.organization_id != row.provider_id,
        row.balance_after != prepaid,
        row.balance_after != postpaid,
    )


def _say_broken(row: Any) -> list[Discrepancy]:
    gap, *jumps, balance = row[-2 - len(BUCKETS) :]
    shown, found = row._mapping, []
    if gap:
        found.append(("sequence", f"row {row.seq} comes after row {row.seq_before}"))
    for name, jump in zip(BUCKETS, jumps, strict=True):
        if jump:
            before, after = (
                format_money(shown[f"{name}_{at}"], row.currency) for at in ("before", "after")
            )
            legs = f"{label(row.debit)} to {label(row.credit)} {format_money(row.amount, row.currency)}"
            found.append(
                (
                    "cache_is_history",
                    f"row {row.seq}: {name} was {before} and is {after} after {legs}",
                )
            )
    if balance:
        shown_balance = format_money(row.balance_after, row.currency)
        found.append(
            (
                "cache_is_history",
                f"row {row.seq}: the balance of its buckets is not {shown_balance}",
            )
        )
    return [Discrepancy(row.organization_id, *each) for each in found]


def _amount(row: Any, condition: Any) -> Any:
    return case((condition, row.amount), else_=0)


def _exact(amount: Any) -> Any:
    """The amount where arithmetic with it can't overflow, whatever it has been changed to."""
    return cast(amount, Numeric(30, 0))


def _halves(amount: Any) -> tuple[Any, Any]:
    """The sums of units and of millionths, apart: together they could overflow 64 bits."""
    return func.sum(amount // UNIT).label("units"), func.sum(amount % UNIT).label("millionths")


def _total(amount: Any) -> Any:
    units, millionths = (half.element for half in _halves(amount))
    return units * UNIT + millionths


def _show(currency: str, sums: dict[str, Any]) -> dict[str, Any]:
    accounts = sorted(sums["accounts"].items(), key=lambda item: _ORDER.get(item[0], MOST))
    return {
        "currency": currency,
        "customers_balance": format_money(sums["customers"], currency),
        "accounts": [
            {
                "account": name,
                "debit": format_money(debit, currency),
                "credit": format_money(credit, currency),
            }
            for name, (debit, credit) in accounts
        ],
    }
