"""Each part of what an invoice was paid knows the money that paid it.

For what was posted before, the sources and their allocations are rebuilt from the journal.

Revision ID: 0007
Revises: 0006
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

import chassis.db.columns
import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_POSTGRESQL = (
    """
    CREATE TRIGGER allocations_no_change BEFORE UPDATE OR DELETE ON allocations
    FOR EACH ROW EXECUTE FUNCTION refuse_journal_change()
    """,
    """
    CREATE TRIGGER allocations_no_truncate BEFORE TRUNCATE ON allocations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_journal_change()
    """,
    """
    DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_database() || '_app') THEN
            EXECUTE format(
                'REVOKE UPDATE, DELETE, TRUNCATE ON allocations FROM %I',
                current_database() || '_app'
            );
        END IF;
    END $$
    """,
)
_SURPLUS, _INVOICED = 2, 4
_BATCH = 10_000


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        # What is posted meanwhile would get no source. Reading the journal goes on.
        op.execute("LOCK TABLE journal IN SHARE ROW EXCLUSIVE MODE")
    op.create_table(
        "sources",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("seq", chassis.db.columns.BigInt, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("amount", chassis.db.columns.BigInt, nullable=False),
        sa.Column("unassigned", chassis.db.columns.BigInt, nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_sources_amount")),
        sa.CheckConstraint(
            "unassigned >= 0 AND unassigned <= amount", name=op.f("ck_sources_unassigned")
        ),
        sa.PrimaryKeyConstraint("organization_id", "transaction_id", name=op.f("pk_sources")),
    )
    op.create_table(
        "allocations",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("seq", chassis.db.columns.BigInt, nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("invoice_id", sa.Uuid(), nullable=True),
        sa.Column("amount", chassis.db.columns.BigInt, nullable=False),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_allocations_amount")),
        sa.PrimaryKeyConstraint("organization_id", "seq", "source_id", name=op.f("pk_allocations")),
    )
    _rebuild()
    op.create_index(
        "ix_sources_unassigned",
        "sources",
        ["organization_id", "seq"],
        postgresql_where=sa.text("unassigned > 0"),
        sqlite_where=sa.text("unassigned > 0"),
    )
    op.create_index("ix_allocations_source_id", "allocations", ["organization_id", "source_id"])
    op.create_index(
        "ix_allocations_invoice_id",
        "allocations",
        ["organization_id", "invoice_id"],
        postgresql_where=sa.text("invoice_id IS NOT NULL"),
        sqlite_where=sa.text("invoice_id IS NOT NULL"),
    )

    _make_append_only()


def downgrade() -> None:
    op.drop_table("allocations")
    op.drop_table("sources")


def _make_append_only() -> None:
    """As the journal is, whose rows they explain."""
    if op.get_bind().dialect.name == "postgresql":
        for statement in _POSTGRESQL:
            op.execute(statement)
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER allocations_no_{change.lower()} BEFORE {change} ON allocations "
            "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        )


def _table(name: str) -> sa.Table:
    return sa.Table(name, sa.MetaData(), autoload_with=op.get_bind())


def _rebuild() -> None:
    """Follow each account's surplus through its journal."""
    sources, allocations = _table("sources"), _table("allocations")
    pending: dict[sa.Table, list[dict[str, Any]]] = {sources: [], allocations: []}
    for _, rows in groupby(_rows(), attrgetter("organization_id")):
        book = _Book()
        for row in rows:
            book.add(row)
        pending[sources] += book.sources.values()
        pending[allocations] += book.allocations
        if sum(map(len, pending.values())) >= _BATCH:
            _write(pending)
    _write(pending)


def _rows() -> Iterable[Any]:
    """The rows about surplus; ``refunded_id``: the transaction that theirs reverses."""
    row, first = _table("journal").alias("row"), _table("journal").alias("first")
    query = (
        sa.select(
            row.c.organization_id,
            row.c.seq,
            row.c.transaction_id,
            row.c.kind,
            row.c.debit,
            row.c.amount,
            row.c.invoice_id,
            row.c.payment_id,
            first.c.refunded_id,
            row.c.posted_at,
        )
        .join(
            first,
            sa.and_(
                first.c.organization_id == row.c.organization_id,
                first.c.transaction_id == row.c.transaction_id,
                first.c.part == 0,
            ),
        )
        .where(sa.or_(row.c.debit == _SURPLUS, row.c.credit == _SURPLUS))
        .order_by(row.c.organization_id, row.c.seq)
    )
    return op.get_bind().execute(query, execution_options={"yield_per": _BATCH})


def _write(pending: dict[sa.Table, list[dict[str, Any]]]) -> None:
    for table, rows in pending.items():
        if rows:
            op.bulk_insert(table, rows)
            rows.clear()


class _Book:
    """The sources of one account, and what each row of its journal did to them."""

    def __init__(self) -> None:
        self.sources: dict[Any, dict[str, Any]] = {}
        self.allocations: list[dict[str, Any]] = []
        # Those that have something unassigned, as (seq, id), oldest first.
        self._unassigned: list[tuple[int, Any]] = []
        self._by_payment: dict[Any, Any] = {}
        # By invoice: by source, what it has paid, in the order of the last payment.
        self._paid: dict[Any, dict[Any, int]] = defaultdict(dict)
        # By transaction: by source, what it took from it other than for an invoice.
        self._taken: dict[Any, dict[Any, int]] = defaultdict(dict)
        self._reversed: set[Any] = set()

    def add(self, row: Any) -> None:
        if row.refunded_id is not None:
            self._reversed.add(row.refunded_id)
        if row.debit == _SURPLUS:
            self._take(row)
        elif row.debit == _INVOICED:
            self._give_back(row)
        else:
            self._receive(row)

    def _receive(self, row: Any) -> None:
        left = row.amount
        taken = self._taken.get(row.refunded_id, {})
        for source_id, amount in taken.items():
            if source_id not in self._reversed:
                back = -self._move(row, source_id, -min(left, amount))
                taken[source_id] -= back
                left -= back
        if not left:
            return
        source = self.sources.setdefault(
            row.transaction_id,
            {
                "organization_id": row.organization_id,
                "transaction_id": row.transaction_id,
                "seq": row.seq,
                "kind": row.kind,
                "payment_id": row.payment_id if row.kind == "payment" else None,
                "amount": 0,
                "unassigned": 0,
            },
        )
        source["amount"] += left
        self._change(row.transaction_id, left)
        if row.kind == "payment":
            self._by_payment[row.payment_id] = row.transaction_id

    def _named(self, row: Any) -> list[Any]:
        """The source that the row names: its payment's, or the one that it reverses."""
        named = self._by_payment.get(row.payment_id, row.refunded_id)
        return [named] if named in self.sources else []

    def _take(self, row: Any) -> None:
        left = row.amount
        for source_id in self._named(row):
            left -= self._move(row, source_id, min(left, self.sources[source_id]["unassigned"]))
        while left:
            if not self._unassigned:
                raise ValueError(f"row {row.seq} of {row.organization_id} takes what is not there")
            source_id = self._unassigned[0][1]
            left -= self._move(row, source_id, min(left, self.sources[source_id]["unassigned"]))

    def _give_back(self, row: Any) -> None:
        paid, left = self._paid[row.invoice_id], row.amount
        for source_id in chain(self._named(row), reversed(list(paid))):
            if not left:
                return
            left += self._move(row, source_id, -min(left, paid.get(source_id, 0)))

    def _move(self, row: Any, source_id: Any, amount: int) -> int:
        if not amount:
            return 0
        self._change(source_id, -amount)
        if row.invoice_id is None:
            taken = self._taken[row.transaction_id]
            taken[source_id] = taken.get(source_id, 0) + amount
        else:
            paid = self._paid[row.invoice_id]
            before = paid.pop(source_id, 0) if amount > 0 else paid[source_id]
            paid[source_id] = before + amount
        self.allocations.append(
            {
                "organization_id": row.organization_id,
                "seq": row.seq,
                "source_id": source_id,
                "invoice_id": row.invoice_id,
                "amount": amount,
                "posted_at": row.posted_at,
            }
        )
        return amount

    def _change(self, source_id: Any, amount: int) -> None:
        source = self.sources[source_id]
        place = (source["seq"], source_id)
        if not source["unassigned"]:
            insort(self._unassigned, place)
        source["unassigned"] += amount
        if not source["unassigned"]:
            del self._unassigned[bisect_left(self._unassigned, place)]
