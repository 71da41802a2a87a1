"""The auditor: each of many discrepancies is found and named, and no clean book is accused."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest
from billing import actions, queries
from billing.actions import ledger_audit as keeping
from billing.models import Account, Entry, Invoice, LedgerAudit, Reservation, Spending
from billing.queries.ledger_audit import passes as audit_passes
from chassis.errors import Conflict
from chassis.runtime import clock, ids
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import Session
from structlog.testing import capture_logs

FIGURES = ("status", "accounts", "entries", "trial_balance", "discrepancies")


def books_of_every_kind(world):
    """A prepaid and a postpaid customer on whose accounts everything has happened."""
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


def prove(world):
    """A whole pass through the provider's books; what it came to."""
    piece = look(world)
    keep(world, piece)
    while piece.last is not None:
        with world.database.reading() as session:
            audit_id = session.scalar(select(LedgerAudit.id).where(LedgerAudit.after == piece.last))
        piece = look(world, audit_id=audit_id, after=piece.last)
        keep(world, piece)
    return proof(world)


def look(world, **where):
    with world.database.reading(snapshot=True) as session:
        return queries.audit_batch(session, world.provider_id, **where)


def keep(world, piece):
    with world.database.transaction() as session:
        actions.record_audit_batch(session, batch=piece, now=clock.now())


def passes(world):
    with world.database.reading() as session:
        wanted = (
            select(LedgerAudit)
            .where(LedgerAudit.provider_id == world.provider_id)
            .order_by(LedgerAudit.id)
        )
        return [(found.status, found.accounts) for found in session.scalars(wanted)]


def proof(world):
    answer = world.call("GET", "/v1/ledger/proof")
    assert answer.status_code == 200, answer.json
    return answer.json


@contextmanager
def tampering(owner):
    """A session of the tables' owner, with what guards the journal out of the way; undone in the
    end."""
    with Session(owner.engine) as session:
        if owner.is_sqlite:
            for name in session.scalars(
                text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).all():
                session.execute(text(f"DROP TRIGGER {name}"))
        else:
            session.execute(text("ALTER TABLE journal DISABLE TRIGGER USER"))
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
    "what is unbilled": (POSTPAID, "cache_is_history", [account(unbilled=Account.unbilled - 1)]),
    "what is held, in the account": (PREPAID, "reservations", [account(held=Account.held + 1)]),
    "what the provider's balance lost": (
        PREPAID,
        "cache_is_history",
        [account(on_wallet=Account.on_wallet + 1)],
    ),
    "too many rows counted": (PREPAID, "sequence", [account(seq=Account.seq + 1)]),
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
    "an amount, beyond all bounds": (
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
    "accounts that do not go together": (PREPAID, "conservation", [row(3, credit=30)]),
    "a currency": (PREPAID, "conservation", [row(2, currency="EUR")]),
    "a provider": (PREPAID, "conservation", [row(2, provider_id=ids.new("org"))]),
    "what a transaction moved": (PREPAID, "transactions", [row(1, moved=Entry.moved + 1)]),
    "a part": (PREPAID, "transactions", [row(3, part=2)]),
    "a row twice": (POSTPAID, "transactions", [copied]),
    "what was captured": (
        PREPAID,
        "reservations",
        [of(Reservation, OPEN & (Reservation.captured > 0), captured=Reservation.captured + 1)],
    ),
    "captured for released": (
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
    "what was paid": (POSTPAID, "invoices", [of(Invoice, paid=Invoice.paid + 1)]),
    "paid for credited": (
        POSTPAID,
        "invoices",
        [of(Invoice, paid=Invoice.paid - 1, credited=Invoice.credited + 1)],
    ),
    "an invoice's range": (POSTPAID, "invoices", [of(Invoice, to_seq=Invoice.to_seq + 1)]),
    "less than nothing spent": (PREPAID, "spendings", [of(Spending, amount=-1)]),
    "the provider's own last row": (OWN, "sequence", [gone(LAST)]),
    "the provider's own row": (OWN, "transactions", [row(1, amount=Entry.amount + 1)]),
}


@pytest.fixture
def books(world, books_by_database={}):  # noqa: B006 - made once per database, and never changed for good
    """A provider's world and the three journals in it."""
    if world.database.url not in books_by_database:
        books_by_database[world.database.url] = (
            world,
            (*books_of_every_kind(world), world.provider_id),
        )
    return books_by_database[world.database.url]


@pytest.mark.parametrize("what", PLANTED)
def test_what_was_changed_is_found(books, owner, what):
    world, orgs = books
    whose, invariant, changes = PLANTED[what]
    with tampering(owner) as session:
        assert queries.audit_batch(session, world.provider_id).discrepancies == []
        last = session.scalar(
            select(func.max(Entry.seq)).where(Entry.organization_id == orgs[whose])
        )
        for change in changes:
            assert session.execute(change(orgs[whose], last)).rowcount != 0
        found = queries.audit_batch(session, world.provider_id).discrepancies
    assert invariant in {one.invariant for one in found}
    assert {one.organization_id for one in found} == {orgs[whose]}
    assert all(one.detail for one in found)


def test_a_row_moved_to_another_account_is_missed_here_and_found_there(books, owner):
    world, (here, there, _) = books
    with tampering(owner) as session:
        last, free = (session.get_one(Account, org).seq for org in (here, there))
        session.execute(
            update(Entry)
            .where(Entry.organization_id == here, Entry.seq == last)
            .values(organization_id=there, seq=free + 1)
        )
        found = queries.audit_batch(session, world.provider_id).discrepancies
    assert {(one.organization_id, one.invariant) for one in found} >= {
        (here, "sequence"),
        (there, "sequence"),
    }


def test_the_trial_balance_is_even_and_says_what_customers_have(world):
    books_of_every_kind(world)
    found = prove(world)
    euro, dollar = found["trial_balance"]
    assert (euro["currency"], dollar["currency"], found["accounts"]) == ("EUR", "SGD", 2)
    assert euro["accounts"] == [
        {"account": "wallet", "debit": "5.00", "credit": "0.00"},
        {"account": "funding", "debit": "0.00", "credit": "5.00"},
    ]
    legs = {leg["account"]: (leg["debit"], leg["credit"]) for leg in dollar["accounts"]}
    assert legs["held"] == ("22.00", "60.00")
    assert legs["set_aside"] == ("60.00", "22.00")
    assert legs["wallet"] == ("1001.20", "4.00")
    (purse,) = [p for p in world.call("GET", "/v1/wallet").json["data"] if p["currency"] == "SGD"]
    assert dollar["customers_balance"] == purse["customers_balance"] == "89.999999"


def test_a_pass_is_made_of_pieces_as_large_as_they_may_be(world, monkeypatch):
    books_of_every_kind(world)
    books_of_every_kind(world)
    whole = prove(world)
    for name in ("MAX_ROWS", "MAX_ACCOUNTS"):
        with monkeypatch.context() as smaller:
            smaller.setattr(audit_passes, name, 1)
            piece = look(world)
            assert (piece.accounts, piece.last is not None) == (1, True)
            in_pieces = prove(world)
        assert {name: in_pieces[name] for name in FIGURES} == {
            name: whole[name] for name in FIGURES
        }
    assert (whole["accounts"], whole["status"]) == (4, "passed")


def test_a_piece_that_comes_too_late_is_dropped(world, monkeypatch):
    orgs = sorted(world.open() for _ in range(3))
    monkeypatch.setattr(audit_passes, "MAX_ACCOUNTS", 1)
    keep(world, look(world))
    with world.database.reading() as session:
        begun = session.scalars(
            select(LedgerAudit).where(LedgerAudit.provider_id == world.provider_id)
        ).one()
    second, again, last = (
        look(world, audit_id=begun.id, after=after) for after in (orgs[0], orgs[0], orgs[2])
    )
    for piece in (second, again):
        keep(world, piece)
    assert passes(world) == [("running", 2)]
    keep(world, look(world, audit_id=begun.id, after=orgs[1]))
    for piece in (last, last):
        keep(world, piece)
    assert passes(world) == [("passed", 3)]


def test_it_is_said_when_a_pass_fails_and_when_all_is_well_again(world):
    org = world.open()
    world.top_up(org, "5")

    def change(by):
        with world.database.transaction() as session:
            session.execute(account(prepaid=Account.prepaid + by)(org, 0))

    for by in (0, 1, 0, -1, 0):
        change(by)
        prove(world)
    said = [data for name, data in world.said(world.provider_id) if name == "ledger_proved"]
    assert [(data["status"], data["discrepancies"]) for data in said] == [
        ("failed", 1),
        ("failed", 1),
        ("passed", 0),
    ]
    assert [data["entries"] for data in said] == [1, 1, 1]


def test_the_last_hundred_passes_are_kept_and_a_thousand_discrepancies(world, monkeypatch):
    monkeypatch.setattr(keeping, "MAX_AUDITS", 2)
    monkeypatch.setattr(keeping, "MAX_DISCREPANCIES", 1)
    for org in (world.open(), world.open()):
        with world.database.transaction() as session:
            session.execute(account(on_wallet=1)(org, 0))
    for _ in range(4):
        assert len(prove(world)["discrepancies"]) == 1
    assert passes(world) == [("failed", 2)] * 2


def test_each_discrepancy_is_logged(world):
    org = world.open()
    with world.database.transaction() as session:
        session.execute(account(on_wallet=1)(org, 0))
    with capture_logs() as logs:
        prove(world)
    found, proved = [line for line in logs if line["event"].startswith("ledger.")]
    assert (found["event"], found["log_level"], found["organization_id"]) == (
        "ledger.discrepancy",
        "error",
        org,
    )
    assert found["detail"] == "on_wallet is 0.000001, by its journal 0.00"
    assert (proved["event"], proved["status"], proved["discrepancies"]) == (
        "ledger.audited",
        "failed",
        1,
    )


def test_the_clock_goes_through_the_books_of_every_provider_by_turns(world):
    world.top_up(world.open(), "5")
    assert world.call("GET", "/v1/ledger/proof").json["code"] == "not_found"
    world.tick("audit_ledger")
    first = proof(world)
    assert (first["status"], first["entries"]) == ("passed", 1)
    world.tick("audit_ledger")
    assert proof(world) == first
    world.tick("audit_ledger", now=clock.now() + timedelta(minutes=2))
    assert proof(world)["started_at"] > first["started_at"]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_nobody_is_accused_while_everything_happens_at_once(world):
    prepaid, postpaid = books_of_every_kind(world)
    over = threading.Event()

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

    def watch():
        found = []
        while not over.is_set():
            found.append(look(world))
        return found

    with ThreadPoolExecutor(6) as pool:
        looking = [pool.submit(watch) for _ in range(2)]
        at_work = [
            pool.submit(busy, org, number) for number, org in enumerate((prepaid, postpaid) * 2)
        ]
        try:
            for one in at_work:
                one.result()
        finally:
            over.set()
        pieces = [piece for one in looking for piece in one.result()]
    assert [piece.discrepancies for piece in pieces if piece.discrepancies] == []
    assert len({piece.entries for piece in pieces}) > 5


def reserve(world, org):
    with world.database.transaction() as session:
        return actions.reserve(
            session, organization_id=org, amount=5, description="x", expires_in=60, now=clock.now()
        )


def capture(world, org, held):
    with world.database.transaction() as session:
        actions.capture(
            session,
            organization_id=org,
            reservation_id=held["id"],
            amount=3,
            final=False,
            now=clock.now(),
        )
