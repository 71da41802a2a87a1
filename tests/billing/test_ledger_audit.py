"""The ledger audit: every planted discrepancy is found and named, and there is no false alarm."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from billing import actions, queries
from billing.actions import ledger_audit
from billing.models import (
    Account,
    Allocation,
    Entry,
    Invoice,
    LedgerAudit,
    Provider,
    Reservation,
    Source,
    Spending,
)
from billing.queries.ledger_audit import passes
from billing.queries.ledger_audit.passes import AuditBatch
from chassis.auth.actor import SYSTEM
from chassis.errors import Conflict
from chassis.runtime import clock, ids
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

FIGURES = ("status", "accounts", "entries", "trial_balance", "discrepancies")


def accounts_with_everything(world):
    """A prepaid and a postpaid customer with transactions of every kind."""
    world.call("POST", "/v1/wallet/top-ups", {"amount": "1000"})
    world.call("POST", "/v1/wallet/top-ups", {"amount": "5", "currency": "EUR"})
    prepaid, postpaid = world.open(), world.open("postpaid", limit="500")
    world.top_up(prepaid, "100")
    charge = world.charge(prepaid, "10.000001", cost="4")
    world.charge(prepaid, "3", external_invoice="R-1")
    for captured in ({"amount": "2", "final": False}, {"amount": "1"}, None):
        held = world.post(prepaid, "reservations", {"amount": "20", "description": "Call"}).json
        if captured:
            world.post(prepaid, f"reservations/{held['id']}/capture", captured)
    world.post(
        prepaid, "refunds", {"transaction_id": charge["id"], "amount": "3", "reason": "slow"}
    )
    world.charge(postpaid, "60")
    invoice = world.call("POST", f"/v1/organizations/{postpaid}/invoices", {})
    assert invoice.status_code == 201, invoice.json
    world.call("POST", f"/v1/organizations/{postpaid}/payments", {"amount": "25", "method": "cash"})
    world.charge(postpaid, "1.5")
    assert world.patch(prepaid, {"auto_top_up": {"threshold": "1"}}).status_code == 200
    return prepaid, postpaid


def run_audit(world):
    """A whole audit of the provider's accounts; returns its result."""
    batch = read_batch(world)
    record(world, batch)
    while batch.last is not None:
        with world.database.reading() as session:
            audit_id = session.scalar(select(LedgerAudit.id).where(LedgerAudit.after == batch.last))
        batch = read_batch(world, audit_id=audit_id, after=batch.last)
        record(world, batch)
    return last_audit(world)


def read_batch(world, **where):
    with world.database.reading(snapshot=True) as session:
        return queries.audit_batch(session, world.provider_id, **where)


def record(world, batch):
    with world.database.transaction() as session:
        actions.record_audit_batch(session, batch=batch, now=clock.now())


def audits(world):
    with world.database.reading() as session:
        query = (
            select(LedgerAudit)
            .where(LedgerAudit.provider_id == world.provider_id)
            .order_by(LedgerAudit.id)
        )
        return [(audit.status, audit.accounts) for audit in session.scalars(query)]


def last_audit(world):
    response = world.call("GET", "/v1/ledger/proof")
    assert response.status_code == 200, response.json
    return response.json


@contextmanager
def tampering(owner):
    """A session of the tables' owner without the triggers that protect the journal; rolled back."""
    with Session(owner.engine) as session:
        if owner.is_sqlite:
            for name in session.scalars(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).all():
                session.execute(text(f"DROP TRIGGER {name}"))
        else:
            for table in ("journal", "allocations"):
                session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        yield session
        session.rollback()


def account(**values):
    return lambda org, last: update(Account).where(Account.organization_id == org).values(values)


def row(seq, **values):
    return lambda org, last: (
        update(Entry).where(Entry.organization_id == org, Entry.seq == (seq or last)).values(values)
    )


def gone(seq):
    return lambda org, last: delete(Entry).where(
        Entry.organization_id == org, Entry.seq == (seq or last)
    )


def copied(org, last):
    columns = {column.name: column for column in Entry.__table__.columns}
    columns |= {"seq": Entry.seq + 1, "part": Entry.part + 1}
    return insert(Entry).from_select(
        list(columns),
        select(*columns.values()).where(Entry.organization_id == org, Entry.seq == last),
    )


def moved_to(org, last):
    return update(Entry).where(Entry.organization_id == org, Entry.seq == last).values(seq=last + 7)


def of(model, condition=None, **values):
    return lambda org, last: (
        update(model)
        .where(model.organization_id == org, *([condition] if condition is not None else []))
        .values(values)
    )


PREPAID, POSTPAID, OWN = 0, 1, 2
LAST = 0
OPEN = Reservation.status == "open"
HUGE = 2**63 - 1
PLANTED = {
    "a bucket": (PREPAID, "cache_is_history", [account(prepaid=Account.prepaid + 1)]),
    "the unbilled amount": (POSTPAID, "cache_is_history", [account(unbilled=Account.unbilled - 1)]),
    "the held amount of the account": (PREPAID, "reservations", [account(held=Account.held + 1)]),
    "the effect on the provider's wallet": (
        PREPAID,
        "cache_is_history",
        [account(on_wallet=Account.on_wallet + 1)],
    ),
    "too high a number of rows": (PREPAID, "sequence", [account(seq=Account.seq + 1)]),
    "a row deleted": (PREPAID, "sequence", [gone(1)]),
    "the last row deleted": (POSTPAID, "sequence", [gone(LAST)]),
    "a row deleted, and the number of rows": (
        POSTPAID,
        "cache_is_history",
        [gone(LAST), account(seq=Account.seq - 1)],
    ),
    "a row renumbered": (PREPAID, "sequence", [moved_to]),
    "an amount": (PREPAID, "cache_is_history", [row(1, amount=Entry.amount + 1)]),
    "a cost": (PREPAID, "cache_is_history", [row(3, amount=Entry.amount - 1)]),
    "an amount beyond any limit": (
        PREPAID,
        "cache_is_history",
        [row(1, amount=HUGE, prepaid_after=-HUGE)],
    ),
    "a snapshot": (PREPAID, "cache_is_history", [row(2, held_after=1)]),
    "the last snapshot": (
        POSTPAID,
        "cache_is_history",
        [row(LAST, unbilled_after=Entry.unbilled_after + 1)],
    ),
    "a balance": (PREPAID, "cache_is_history", [row(1, balance_after=Entry.balance_after + 1)]),
    "debit and credit": (
        PREPAID,
        "cache_is_history",
        [row(1, debit=Entry.credit, credit=Entry.debit)],
    ),
    "an account that does not exist": (PREPAID, "conservation", [row(4, debit=99)]),
    "an invalid pair of accounts": (PREPAID, "conservation", [row(3, credit=30)]),
    "a currency": (PREPAID, "conservation", [row(2, currency="EUR")]),
    "a provider": (PREPAID, "conservation", [row(2, provider_id=ids.new("org"))]),
    "the amount moved by a transaction": (PREPAID, "transactions", [row(1, moved=Entry.moved + 1)]),
    "a part": (PREPAID, "transactions", [row(3, part=2)]),
    "a row twice": (POSTPAID, "transactions", [copied]),
    "the captured amount": (
        PREPAID,
        "reservations",
        [of(Reservation, OPEN & (Reservation.captured > 0), captured=Reservation.captured + 1)],
    ),
    "captured instead of released": (
        PREPAID,
        "reservations",
        [
            of(
                Reservation,
                Reservation.released > 0,
                captured=Reservation.captured + 1,
                released=Reservation.released - 1,
            ),
        ],
    ),
    "a reservation deleted": (
        PREPAID,
        "reservations",
        [
            lambda org, last: delete(Reservation).where(Reservation.organization_id == org, ~OPEN),
        ],
    ),
    "the paid amount": (POSTPAID, "invoices", [of(Invoice, paid=Invoice.paid + 1)]),
    "credited instead of paid": (
        POSTPAID,
        "invoices",
        [of(Invoice, paid=Invoice.paid - 1, credited=Invoice.credited + 1)],
    ),
    "the amount of a source": (POSTPAID, "allocations", [of(Source, amount=Source.amount + 1)]),
    "what is unassigned of a source": (
        POSTPAID,
        "allocations",
        [of(Source, Source.unassigned < Source.amount, unassigned=Source.unassigned + 1)],
    ),
    "what a source paid": (
        POSTPAID,
        "allocations",
        [of(Allocation, amount=Allocation.amount + 1)],
    ),
    "an invoice without what paid it": (
        POSTPAID,
        "allocations",
        [of(Allocation, Allocation.invoice_id.is_not(None), invoice_id=None)],
    ),
    "an invoice's range": (POSTPAID, "invoices", [of(Invoice, to_seq=Invoice.to_seq + 1)]),
    "negative spending": (PREPAID, "spendings", [of(Spending, amount=-1)]),
    "the provider's own last row": (OWN, "sequence", [gone(LAST)]),
    "the provider's own row": (OWN, "transactions", [row(1, amount=Entry.amount + 1)]),
}


@pytest.fixture
def books(world, books_by_database={}):  # noqa: B006 - made once per database
    """A provider's world and its three journals."""
    if world.database.url not in books_by_database:
        books_by_database[world.database.url] = (
            world,
            (*accounts_with_everything(world), world.provider_id),
        )
    return books_by_database[world.database.url]


@pytest.mark.parametrize("what", PLANTED)
def test_every_planted_change_is_found(books, owner, what):
    world, orgs = books
    position, invariant, changes = PLANTED[what]
    with tampering(owner) as session:
        assert queries.audit_batch(session, world.provider_id).discrepancies == []
        last = session.scalar(
            select(func.max(Entry.seq)).where(Entry.organization_id == orgs[position])
        )
        for change in changes:
            assert session.execute(change(orgs[position], last)).rowcount != 0
        discrepancies = queries.audit_batch(session, world.provider_id).discrepancies
    assert invariant in {discrepancy.invariant for discrepancy in discrepancies}
    assert {discrepancy.organization_id for discrepancy in discrepancies} == {orgs[position]}
    assert all(discrepancy.detail for discrepancy in discrepancies)


def test_a_row_moved_to_another_account_is_found_in_both_journals(books, owner):
    world, (here, there, _) = books
    with tampering(owner) as session:
        last, free = (session.get_one(Account, org).seq for org in (here, there))
        session.execute(
            update(Entry)
            .where(Entry.organization_id == here, Entry.seq == last)
            .values(organization_id=there, seq=free + 1)
        )
        discrepancies = queries.audit_batch(session, world.provider_id).discrepancies
    assert {
        (discrepancy.organization_id, discrepancy.invariant) for discrepancy in discrepancies
    } >= {
        (here, "sequence"),
        (there, "sequence"),
    }


def test_the_trial_balance_is_balanced_and_has_the_customers_credit(world):
    accounts_with_everything(world)
    audit = run_audit(world)
    euro, dollar = audit["trial_balance"]
    assert (euro["currency"], dollar["currency"], audit["accounts"]) == ("EUR", "SGD", 2)
    assert euro["accounts"] == [
        {"account": "wallet", "debit": "5.00", "credit": "0.00"},
        {"account": "funding", "debit": "0.00", "credit": "5.00"},
    ]
    legs = {leg["account"]: (leg["debit"], leg["credit"]) for leg in dollar["accounts"]}
    assert legs["held"] == ("22.00", "60.00")
    assert legs["set_aside"] == ("60.00", "22.00")
    assert legs["wallet"] == ("1001.20", "4.00")
    (wallet,) = [p for p in world.call("GET", "/v1/wallet").json["data"] if p["currency"] == "SGD"]
    assert dollar["customers_balance"] == wallet["customers_balance"] == "89.999999"


def test_a_pass_consists_of_batches_of_the_maximum_size(world, monkeypatch):
    accounts_with_everything(world)
    accounts_with_everything(world)
    whole = run_audit(world)
    for name in ("MAX_ROWS", "MAX_ACCOUNTS"):
        with monkeypatch.context() as smaller:
            smaller.setattr(passes, name, 1)
            batch = read_batch(world)
            assert (batch.accounts, batch.last is not None) == (1, True)
            in_batches = run_audit(world)
        assert {name: in_batches[name] for name in FIGURES} == {
            name: whole[name] for name in FIGURES
        }
    assert (whole["accounts"], whole["status"]) == (4, "passed")


def test_a_late_batch_is_dropped(world, monkeypatch):
    orgs = sorted(world.open() for _ in range(3))
    monkeypatch.setattr(passes, "MAX_ACCOUNTS", 1)
    record(world, read_batch(world))
    with world.database.reading() as session:
        running = session.scalars(
            select(LedgerAudit).where(LedgerAudit.provider_id == world.provider_id)
        ).one()
    second, again, last = (
        read_batch(world, audit_id=running.id, after=after) for after in (orgs[0], orgs[0], orgs[2])
    )
    for batch in (second, again):
        record(world, batch)
    assert audits(world) == [("running", 2)]
    record(world, read_batch(world, audit_id=running.id, after=orgs[1]))
    for batch in (last, last):
        record(world, batch)
    assert audits(world) == [("passed", 3)]


def test_a_failed_audit_is_published_and_so_is_the_next_passed_one(world):
    org = world.open()
    world.top_up(org, "5")

    def change(by):
        with world.database.transaction() as session:
            session.execute(account(prepaid=Account.prepaid + by)(org, 0))

    for by in (0, 1, 0, -1, 0):
        change(by)
        run_audit(world)
    published = [
        data for name, data in world.published(world.provider_id) if name == "ledger_proved"
    ]
    assert [(data["status"], data["discrepancies"]) for data in published] == [
        ("failed", 1),
        ("failed", 1),
        ("passed", 0),
    ]
    assert [data["entries"] for data in published] == [1, 1, 1]


def test_the_last_hundred_audits_and_a_thousand_discrepancies_are_kept(world, monkeypatch):
    monkeypatch.setattr(ledger_audit, "MAX_AUDITS", 2)
    monkeypatch.setattr(ledger_audit, "MAX_DISCREPANCIES", 1)
    for org in (world.open(), world.open()):
        with world.database.transaction() as session:
            session.execute(account(on_wallet=1)(org, 0))
    for _ in range(4):
        assert len(run_audit(world)["discrepancies"]) == 1
    assert audits(world) == [("failed", 2)] * 2


def test_each_discrepancy_is_logged(world):
    org = world.open()
    with world.database.transaction() as session:
        session.execute(account(on_wallet=1)(org, 0))
    with capture_logs() as logs:
        run_audit(world)
    discrepancy, audited = [line for line in logs if line["event"].startswith("ledger.")]
    assert (discrepancy["event"], discrepancy["log_level"], discrepancy["organization_id"]) == (
        "ledger.discrepancy",
        "error",
        org,
    )
    assert discrepancy["detail"] == "on_wallet is 0.000001, by its journal 0.00"
    assert (audited["event"], audited["status"], audited["discrepancies"]) == (
        "ledger.audited",
        "failed",
        1,
    )


def pause_the_audits_of_others(world, until):
    """The database is shared: record that every other provider has been audited at this time."""
    with world.database.transaction() as session:
        others = session.scalars(select(Provider.id).where(Provider.id != world.provider_id))
        for provider_id in others.all():
            batch = AuditBatch(provider_id, None, None, None, 0, 0, {}, [])
            actions.record_audit_batch(session, batch=batch, now=until)


def test_the_job_audits_every_provider_in_turn(world):
    world.top_up(world.open(), "5")
    assert world.call("GET", "/v1/ledger/proof").json["code"] == "not_found"
    now = clock.now()
    later = now + timedelta(minutes=2)
    pause_the_audits_of_others(world, until=later)
    world.run_jobs("audit_ledger", now=now)
    first = last_audit(world)
    assert (first["status"], first["entries"]) == ("passed", 1)
    world.run_jobs("audit_ledger", now=now)
    assert last_audit(world) == first
    world.run_jobs("audit_ledger", now=later)
    assert last_audit(world)["started_at"] > first["started_at"]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_no_false_alarm_under_concurrent_changes(world):
    prepaid, postpaid = accounts_with_everything(world)
    finished = threading.Event()

    def busy(org, number):
        for turn in range(12):
            world.act(
                actions.charge,
                organization_id=org,
                amount=1 + turn,
                kind="usage",
                description="x",
                cost=number,
            )
            held = reserve(world, org)
            if turn % 3:
                capture(world, org, held)
            if org == postpaid:
                with suppress(Conflict):
                    world.act(actions.issue_invoice, organization_id=org)
                world.act(actions.record_payment, organization_id=org, amount=7, method="cash")

    def audit_repeatedly():
        batches = []
        while not finished.is_set():
            batches.append(read_batch(world))
        return batches

    with ThreadPoolExecutor(6) as pool:
        auditing = [pool.submit(audit_repeatedly) for _ in range(2)]
        changing = [
            pool.submit(busy, org, number) for number, org in enumerate((prepaid, postpaid) * 2)
        ]
        try:
            for future in changing:
                future.result()
        finally:
            finished.set()
        batches = [batch for future in auditing for batch in future.result()]
    assert [batch.discrepancies for batch in batches if batch.discrepancies] == []
    assert len({batch.entries for batch in batches}) > 5


def reserve(world, org):
    with world.database.transaction() as session:
        return actions.reserve(
            session,
            by=SYSTEM,
            organization_id=org,
            amount=5,
            description="x",
            expires_in=60,
            now=clock.now(),
        )


def capture(world, org, held):
    with world.database.transaction() as session:
        actions.capture(
            session,
            by=SYSTEM,
            organization_id=org,
            reservation_id=held["id"],
            amount=3,
            final=False,
            now=clock.now(),
        )
