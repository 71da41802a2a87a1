"""Checks of the journal's rows, made by the database over whole journals without changing them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import Session

from billing.models import Entry
from billing.queries.ledger_audit.discrepancy import (
    BUCKET_SIGNS,
    BUCKETS,
    MAX_DISCREPANCIES,
    Discrepancy,
    code_label,
    exact,
    halves,
    total,
)
from billing.values import Code, format_money

_NET = (Code.PREPAID, Code.SURPLUS, Code.UNBILLED, Code.INVOICED)


def sums(session: Session, organization_ids: Sequence[str]) -> Sequence[Any]:
    """Totals by journal, provider, currency and pair of accounts.

    Each row has the number of journal rows, the first and the last ``seq``, the smallest amount and
    the sum in two halves.
    """
    groups = (Entry.organization_id, Entry.provider_id, Entry.currency, Entry.debit, Entry.credit)
    return session.execute(
        select(
            *groups,
            func.count().label("rows"),
            func.min(Entry.seq).label("first"),
            func.max(Entry.seq).label("last"),
            func.min(Entry.amount).label("least"),
            *halves(Entry.amount),
        )
        .where(Entry.organization_id.in_(organization_ids))
        .group_by(*groups)
    ).all()


def broken_chains(session: Session, organization_ids: Sequence[str]) -> list[Discrepancy]:
    """Rows that do not continue the row before them.

    Either the number is not the next one, or a bucket after the row is not the bucket before it
    plus the effect of the row, or the balance of a transaction is not that of its buckets.
    """
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
        .where(Entry.organization_id.in_(organization_ids))
        .subquery()
    )
    c = rows.c
    jumps = [
        exact(c[f"{name}_after"]) != exact(c[f"{name}_before"]) + _effect(c, name)
        for name in BUCKETS
    ]
    wrong = (c.seq != c.seq_before + 1, *jumps, _wrong_balance(c))
    flags = [case((condition, 1), else_=0).label(f"wrong_{n}") for n, condition in enumerate(wrong)]
    broken = session.execute(
        select(rows, *flags)
        .where(or_(*wrong))
        .order_by(c.organization_id, c.seq)
        .limit(MAX_DISCREPANCIES)
    )
    discrepancies = []
    for row in broken:
        discrepancies += _describe_broken(row)
    return discrepancies


def broken_transactions(session: Session, organization_ids: Sequence[str]) -> list[Discrepancy]:
    """Transactions whose rows do not form one transaction.

    Their parts must be 0, 1, 2 … in sequence, of one kind and with one balance, and ``moved`` must
    be their effect on the customer's net (in a provider's own journal, on its wallet).
    """
    sign = case(
        (Entry.organization_id == Entry.provider_id, _side(Entry, (Code.WALLET,), -1)),
        else_=_side(Entry, _NET, 1),
    )
    count = func.count()
    broken = session.execute(
        select(
            Entry.organization_id,
            Entry.transaction_id,
            func.min(Entry.seq).label("first"),
            count.label("rows"),
        )
        .where(Entry.organization_id.in_(organization_ids))
        .group_by(Entry.organization_id, Entry.transaction_id)
        .having(
            or_(
                func.min(Entry.part) != 0,
                func.max(Entry.part) != count - 1,
                func.max(Entry.seq) - func.min(Entry.seq) != count - 1,
                total(Entry.moved) != total(Entry.amount * sign),
                func.min(Entry.kind) != func.max(Entry.kind),
                func.min(Entry.balance_after) != func.max(Entry.balance_after),
                func.sum(case((and_(Entry.part != 0, Entry.moved != 0), 1), else_=0)) != 0,
            )
        )
        .limit(MAX_DISCREPANCIES)
    )
    return [
        Discrepancy(
            row.organization_id,
            "transactions",
            f"{row.transaction_id}, {row.rows} rows from row {row.first}: the parts are not "
            "consecutive, or the amount moved does not match the rows",
        )
        for row in broken
    ]


def _after(name: str) -> Any:
    return getattr(Entry, f"{name}_after")


def _side(row: Any, codes: Sequence[Code], sign: int) -> Any:
    """``sign`` if one of the accounts is credited, -``sign`` if one is debited, 0 if none or
    both."""
    credited = case((row.credit.in_(codes), sign), else_=0)
    debited = case((row.debit.in_(codes), sign), else_=0)
    return credited - debited


def _effect(row: Any, name: str) -> Any:
    """The effect of the row on a bucket."""
    code, sign = BUCKET_SIGNS[name]
    return case(
        (row.credit == code, sign * exact(row.amount)),
        (row.debit == code, -sign * exact(row.amount)),
        else_=0,
    )


def _wrong_balance(row: Any) -> Any:
    """Whether the last row of a customer's transaction shows a balance of neither payment mode."""
    prepaid = exact(row.prepaid_after) - row.held_after
    postpaid = exact(row.surplus_after) - row.invoiced_after - row.unbilled_after
    return and_(
        or_(row.next_id.is_(None), row.next_id != row.transaction_id),
        row.organization_id != row.provider_id,
        row.balance_after != prepaid,
        row.balance_after != postpaid,
    )


def _describe_broken(row: Any) -> list[Discrepancy]:
    gap, *jumps, wrong_balance = row[-2 - len(BUCKETS) :]
    problems = []
    if gap:
        problems.append(("sequence", f"row {row.seq} follows row {row.seq_before}"))
    for name, jump in zip(BUCKETS, jumps, strict=True):
        if jump:
            problems.append(("cache_is_history", _describe_jump(row, name)))
    if wrong_balance:
        balance = format_money(row.balance_after, row.currency)
        problems.append(
            ("cache_is_history", f"row {row.seq}: balance {balance} does not match its buckets")
        )
    return [Discrepancy(row.organization_id, *problem) for problem in problems]


def _describe_jump(row: Any, name: str) -> str:
    before = format_money(row._mapping[f"{name}_before"], row.currency)
    after = format_money(row._mapping[f"{name}_after"], row.currency)
    amount = format_money(row.amount, row.currency)
    legs = f"{code_label(row.debit)} to {code_label(row.credit)}"
    return f"row {row.seq}: {name} was {before} and is {after} after {amount} from {legs}"
