"""The invariants of the books after any sequence of commands, checked on the stored rows by rules
of its own."""

import uuid
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from billing import queries
from chassis.runtime import ids

from tests.billing.ledger.oracle import Oracle
from tests.billing.ledger.wallets import PLACES, Wallet, written

# The chart of accounts: the number, and whether a credit increases the bucket.
BUCKETS = {
    "prepaid": (1, True),
    "surplus": (2, True),
    "unbilled": (3, False),
    "invoiced": (4, False),
    "held": (5, True),
}
SURPLUS, UNBILLED, INVOICED, WALLET = 2, 3, 4, 20


def key(prefix: str, raw: Any) -> str | None:
    """An id as the API shows it."""
    if raw is None:
        return None
    return ids.of_uuid(prefix, raw if isinstance(raw, uuid.UUID) else uuid.UUID(raw))


def instant(raw: Any) -> datetime:
    moment = datetime.fromisoformat(raw) if isinstance(raw, str) else raw
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def check(seen: dict[str, list[Any]], oracle: Oracle, closed_at: dict[str, int]) -> None:
    """Check the invariants of every wallet, and that it matches the oracle."""
    rows: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for table, stored in seen.items():
        for row in stored:
            rows[key("org", row.organization_id) or ""][table].append(row)
    for org, wallet in oracle.wallets.items():
        (account,) = rows[org]["accounts"]
        journal = sorted(rows[org]["journal"], key=lambda row: row.seq)
        _chain(journal, account)
        _matches_oracle(account, wallet)
        _reservations(rows[org]["reservations"], wallet)
        _invoices(rows[org], journal, account, wallet)
        _orders(rows[org]["top_up_orders"], wallet)
        _closed(org, journal, wallet, closed_at)


def _chain(journal: list[Any], account: Any) -> None:
    """Rows are balanced, numbered without a gap, and each continues the one before."""
    buckets, on_wallet = dict.fromkeys(BUCKETS, 0), 0
    assert [row.seq for row in journal] == list(range(1, account.seq + 1)), "the sequence has a gap"
    moved: dict[Any, int] = defaultdict(int)
    for row in journal:
        assert row.amount > 0 and row.debit != row.credit
        before = _net(buckets)
        for name, (number, by_credit) in BUCKETS.items():
            buckets[name] += (
                row.amount
                * ((row.credit == number) - (row.debit == number))
                * (1 if by_credit else -1)
            )
            assert getattr(row, f"{name}_after") == buckets[name], f"{name} after row {row.seq}"
        on_wallet += row.amount * ((row.debit == WALLET) - (row.credit == WALLET))
        moved[row.transaction_id] += _net(buckets) - before
    for row in journal:
        assert row.moved == (moved[row.transaction_id] if row.part == 0 else 0), (
            f"moved in row {row.seq}"
        )
    for name, amount in buckets.items():
        assert getattr(account, name) == amount, f"{name} does not match the journal"
    assert account.on_wallet == on_wallet


def _net(buckets: dict[str, int]) -> int:
    return buckets["prepaid"] + buckets["surplus"] - buckets["unbilled"] - buckets["invoiced"]


def _matches_oracle(account: Any, wallet: Wallet) -> None:
    stored = {
        name: getattr(account, name)
        for name in (*BUCKETS, "on_wallet", "status", "payment_mode", "credit_limit", "last_top_up")
    }
    due = {name: getattr(wallet, name) for name in (*BUCKETS, "on_wallet", "status", "last_top_up")}
    assert stored == {**due, "payment_mode": wallet.mode, "credit_limit": wallet.limit}


def _reservations(rows: list[Any], wallet: Wallet) -> None:
    """Reservations match the oracle and the held amount."""
    stored = {
        key("res", row.id): (row.amount, row.captured, row.released, row.status) for row in rows
    }
    assert stored == {
        held.id: (held.amount, held.captured, held.released, held.status)
        for held in wallet.reservations
    }
    assert wallet.held == sum(
        row.amount - row.captured - row.released for row in rows if row.status == "open"
    )
    assert all(row.captured + row.released == row.amount for row in rows if row.status != "open")


def _invoices(rows: dict[str, list[Any]], journal: list[Any], account: Any, wallet: Wallet) -> None:
    """Ranges have no gap or overlap, and every charge is unbilled or on one invoice."""
    stored = {
        key("inv", row.id): (row.total, row.paid, row.credited, row.status)
        for row in rows["invoices"]
    }
    assert stored == {
        bill.id: (bill.total, bill.paid, bill.credited, bill.status) for bill in wallet.bills
    }
    assert account.invoiced == sum(
        row.total - row.paid - row.credited for row in rows["invoices"] if row.status != "void"
    )
    regular = sorted(
        (row.from_seq, row.to_seq) for row in rows["invoices"] if row.kind != "individual"
    )
    ends = [0, *(last for _, last in regular)]
    assert [first for first, _ in regular] == [last + 1 for last in ends[:-1]], (
        "the ranges have a gap"
    )
    assert account.invoiced_seq == ends[-1]
    made = sum(
        row.amount * ((row.debit == UNBILLED) - (row.credit == UNBILLED))
        for row in journal
        if INVOICED not in (row.debit, row.credit)
    )
    on_bills = sum(row.total for row in rows["invoices"] if row.status != "void")
    assert on_bills + account.unbilled == made
    for row in rows["invoices"]:
        own = [
            r
            for r in journal
            if row.from_seq <= r.seq <= row.to_seq
            and (
                key("inv", r.invoice_id) == key("inv", row.id)
                if row.kind == "individual"
                else r.invoice_id is None or (r.debit, r.credit) == (UNBILLED, INVOICED)
            )
        ]
        total = sum(r.amount * ((r.debit == UNBILLED) - (r.credit == UNBILLED)) for r in own)
        assert total == row.total, "an invoice does not match its rows"
    _payments(rows["payments"], wallet)
    _sources(rows, journal, wallet)


def _payments(rows: list[Any], wallet: Wallet) -> None:
    stored = {key("pay", row.id): (row.amount, row.edits, row.status) for row in rows}
    assert stored == {
        payment.id: (payment.amount, payment.edits, payment.status) for payment in wallet.payments
    }


def _sources(rows: dict[str, list[Any]], journal: list[Any], wallet: Wallet) -> None:
    """Every unit of the surplus and of what was paid has its source."""
    stored = [(row.amount, row.unassigned) for row in rows["sources"]]
    assert stored == [(source.amount, source.left) for source in wallet.sources]
    numbers = {row.transaction_id: number for number, row in enumerate(rows["sources"])}
    shares: dict[tuple[int, str | None], int] = defaultdict(int)
    moved: dict[int, int] = defaultdict(int)
    for row in rows["allocations"]:
        if row.invoice_id is not None:
            shares[numbers[row.source_id], key("inv", row.invoice_id)] += row.amount
        moved[row.seq] += row.amount
    due = {
        (wallet.sources.index(source), bill.id): part
        for bill in wallet.bills
        for source, part in bill.shares.items()
        if part
    }
    assert {pair: part for pair, part in shares.items() if part} == due
    received = dict.fromkeys(numbers, 0)
    for row in journal:
        if row.debit == SURPLUS:
            assert moved[row.seq] == row.amount
        elif (row.debit, row.credit) == (INVOICED, SURPLUS):
            assert moved[row.seq] == -row.amount
        elif row.credit == SURPLUS and row.seq in moved:
            assert moved[row.seq] == -row.amount, "given back"
        elif row.credit == SURPLUS:
            received[row.transaction_id] += row.amount
    assert received == {row.transaction_id: row.amount for row in rows["sources"]}


def _orders(rows: list[Any], wallet: Wallet) -> None:
    """The order of an automatic top-up matches the oracle."""
    assert [instant(row.due_at) for row in rows] == ([wallet.order_due] if wallet.order_due else [])


def _closed(org: str, journal: list[Any], wallet: Wallet, closed_at: dict[str, int]) -> None:
    """A closed account is empty, and nothing is posted to it."""
    if wallet.status == "closed":
        assert not any(getattr(wallet, name) for name in BUCKETS)
        assert closed_at.setdefault(org, len(journal)) == len(journal), (
            "a closed account was posted to"
        )
    else:
        closed_at.pop(org, None)


def check_api(machine: Any, now: datetime) -> None:
    """At the end: the API shows the oracle's figures, invoices do not change, and the audit
    passes."""
    oracle = machine.oracle
    for org, wallet in oracle.wallets.items():
        shown = machine.send("GET", f"/v1/organizations/{org}/account", None).json
        figures = wallet.shown(now)
        assert {name: shown[name] for name in figures} == figures
        for bill in wallet.bills:
            path = f"/v1/organizations/{org}/invoices/{bill.id}"
            once, again = machine.send("GET", path, None), machine.send("GET", path, None)
            assert once.data == again.data
            assert once.json["open"] == written(bill.open, wallet.currency)
    response = machine.send("GET", "/v1/wallet", None)
    balances = {balance["currency"]: balance for balance in response.json["data"]}
    for currency in PLACES:
        due = [written(amount, currency) for amount in oracle.provider_money(currency)]
        balance = balances[currency]
        assert [balance["balance"], balance["customers_balance"], balance["usable"]] == due
    with machine.world.database.reading(snapshot=True) as session:
        batch = queries.audit_batch(session, machine.world.provider_id)
    assert not batch.discrepancies and batch.last is None, batch.discrepancies
    assert batch.accounts == len(oracle.wallets)
