"""Each unit that an invoice was paid knows the money that paid it."""

import importlib.util
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from billing import actions, queries
from billing.app import SERVICE
from billing.models import Account, Allocation, Source
from chassis.db.database import Database
from chassis.runtime import clock
from sqlalchemy import Connection, func, select, text

from tests.billing.conftest import World
from tests.billing.test_ledger_audit import tampering

pytestmark = pytest.mark.both_databases


def customer(world: World, *charges: str) -> tuple[str, list[str]]:
    """A postpaid customer, and an unpaid invoice for each charge."""
    org = world.open("postpaid", limit="1000")
    made = []
    for amount in charges:
        world.charge(org, amount)
        made.append(issue(world, org)["id"])
    return org, made


def issue(world: World, org: str) -> dict[str, Any]:
    response = world.call("POST", f"/v1/organizations/{org}/invoices", {})
    assert response.status_code == 201, response.json
    return dict(response.json)


def pay(world: World, org: str, amount: str, *invoice_ids: str) -> dict[str, Any]:
    """A payment for these invoices; for none of them, it stays unassigned."""
    body = {"amount": amount, "method": "cash", "invoice_ids": list(invoice_ids)}
    response = world.call("POST", f"/v1/organizations/{org}/payments", body)
    assert response.status_code == 201, response.json
    return dict(response.json)


def top_up(world: World, org: str, amount: str, **more: Any) -> dict[str, Any]:
    body = {"amount": amount, "method": "cash", **more}
    response = world.post(org, "top-ups", body)
    assert response.status_code == 201, response.json
    return dict(response.json)


def reverse(world: World, org: str, transaction_id: str) -> dict[str, Any]:
    path = f"transactions/{transaction_id}/reverse"
    response = world.post(org, path, {"reason": "bounced"})
    assert response.status_code == 201, response.json
    return dict(response.json)


def allocate(world: World, org: str) -> Any:
    response = world.post(org, "allocate", {})
    assert response.status_code == 200, response.json
    return response.json["allocations"]


def read(world: World, org: str, invoice_id: str) -> dict[str, Any]:
    return dict(world.call("GET", f"/v1/organizations/{org}/invoices/{invoice_id}").json)


def payers(world: World, org: str, invoice_id: str) -> list[tuple[str, str]]:
    """The kind of each source that has paid the invoice, and how much."""
    shown = read(world, org, invoice_id)
    return [(each["kind"], each["amount"]) for each in shown["allocations"]]


def unassigned(world: World, org: str) -> list[tuple[str, int]]:
    """What is unassigned of each source, in whole units, and that the surplus has no other."""
    with world.database.reading() as session:
        sources = session.scalars(
            select(Source).where(Source.organization_id == org).order_by(Source.seq)
        ).all()
        surplus = session.get_one(Account, org).surplus
        moved = dict(
            session.execute(
                select(Allocation.source_id, func.sum(Allocation.amount))
                .where(Allocation.organization_id == org)
                .group_by(Allocation.source_id)
            ).all()
        )
    assert surplus == sum(source.unassigned for source in sources)
    for source in sources:
        assert source.amount - moved.get(source.transaction_id, 0) == source.unassigned
    return [(source.kind, source.unassigned // 10**6) for source in sources]


def test_a_top_up_pays_the_oldest_invoices_at_once(world: World) -> None:
    org, (first, second) = customer(world, "30", "40")

    topped_up = top_up(world, org, "50")

    assert payers(world, org, first) == [("top_up", "30.00")]
    assert payers(world, org, second) == [("top_up", "20.00")]
    assert read(world, org, first)["allocations"][0]["source"] == topped_up["id"]
    assert world.account(org)["amount_due"] == "-20.00"
    assert "invoice_paid" in [name for name, _ in world.published(org)]


def test_a_top_up_pays_the_invoices_that_it_names(world: World) -> None:
    org, (first, second) = customer(world, "30", "40")

    top_up(world, org, "50", invoice_ids=[second])

    assert (payers(world, org, first), payers(world, org, second)) == ([], [("top_up", "40.00")])
    assert unassigned(world, org) == [("top_up", 10)], "the rest stays, by choice"


def test_a_top_up_of_a_prepaid_account_names_no_invoices(world: World) -> None:
    org = world.open()
    body = {"amount": "5", "method": "cash", "invoice_ids": []}

    refused = world.post(org, "top-ups", body)

    assert (refused.status_code, refused.json["code"]) == (409, "postpaid_only")
    assert world.account(org)["balance"] == "0.00"


@pytest.mark.parametrize("kind", ["payment", "top_up"])
def test_an_invoice_paid_from_the_surplus_is_due_again_once_the_money_bounces(
    world: World, kind: str
) -> None:
    org, _ = customer(world)
    if kind == "payment":
        source = pay(world, org, "100")["transaction_id"]
    else:
        source = top_up(world, org, "100")["id"]
    world.charge(org, "100")
    invoice = issue(world, org)
    assert (invoice["status"], payers(world, org, invoice["id"])) == ("paid", [(kind, "100.00")])

    reverse(world, org, source)

    due = read(world, org, invoice["id"])
    assert (due["status"], due["open"], due["allocations"]) == ("awaiting_payment", "100.00", [])
    nothing = world.call("POST", f"/v1/organizations/{org}/invoices", {})
    assert nothing.json["code"] == "nothing_to_invoice"
    assert unassigned(world, org) == [(kind, 0)]


def test_goodwill_that_paid_an_invoice_makes_it_due_when_it_is_reversed(world: World) -> None:
    org, _ = customer(world)
    credited = world.adjust(org, "20", "goodwill")
    world.charge(org, "50")
    invoice = issue(world, org)
    assert payers(world, org, invoice["id"]) == [("goodwill", "20.00")]
    with world.database.reading() as session:
        document = queries.invoice_document(session, org, invoice["id"])
    assert (document["paid"], document["paid_by_credits"]) == ("20.00", "20.00")

    reverse(world, org, credited["id"])

    assert read(world, org, invoice["id"])["open"] == "50.00"


def test_a_reversal_takes_what_is_left_then_what_was_paid_and_charges_what_was_withdrawn(
    world: World,
) -> None:
    org, (invoice,) = customer(world, "30")
    payment = pay(world, org, "100", invoice)
    world.withdraw(org, "25")
    other = pay(world, org, "10")
    assert unassigned(world, org) == [("payment", 45), ("payment", 10)]

    reverse(world, org, payment["transaction_id"])

    account = world.account(org)
    assert (account["expecting_invoice"], account["amount_due"]) == ("-25.00", "-20.00")
    assert read(world, org, invoice)["open"] == "30.00"
    assert unassigned(world, org) == [("payment", 0), ("payment", 10)], "others keep theirs"
    shown = world.call("GET", f"/v1/organizations/{org}/payments/{other['id']}").json
    assert shown["unassigned"] == "10.00"


def test_what_is_left_of_a_payment_survives_void_and_reissue(world: World) -> None:
    org, (invoice,) = customer(world, "40")
    payment = pay(world, org, "40", invoice)
    path = f"/v1/organizations/{org}/payments/{payment['id']}"
    assert world.call("PATCH", path, {"invoice_ids": []}).json["unassigned"] == "40.00"
    voided = f"/v1/organizations/{org}/invoices/{invoice}/void"
    assert world.call("POST", voided, {"reason": "wrong"}).status_code == 200

    again = issue(world, org)

    shown = world.call("GET", path).json
    assert (shown["assigned"], shown["unassigned"]) == ("40.00", "0.00")
    assert shown["invoices"] == [
        {"invoice_id": again["id"], "number": again["number"], "amount": "40.00"}
    ]
    freed = world.call("PATCH", path, {"invoice_ids": []}).json
    assert (freed["unassigned"], payers(world, org, again["id"])) == ("40.00", [])


def test_a_payment_never_moves_the_money_of_another(world: World) -> None:
    org, (first, second) = customer(world, "30", "30")
    mine, other = pay(world, org, "30", first), pay(world, org, "100")
    path = f"/v1/organizations/{org}/payments/{mine['id']}"

    moved = world.call("PATCH", path, {"invoice_ids": [first, second]}).json

    assert [each["amount"] for each in moved["invoices"]] == ["30.00"]
    shown = world.call("GET", f"/v1/organizations/{org}/payments/{other['id']}").json
    assert shown["unassigned"] == "100.00"


def test_a_credit_note_frees_what_paid_last(world: World) -> None:
    org, (invoice,) = customer(world, "100")
    pay(world, org, "60", invoice)
    top_up(world, org, "40")
    body = {"amount": "50", "reason": "late"}

    world.call("POST", f"/v1/organizations/{org}/invoices/{invoice}/credit-notes", body)

    assert payers(world, org, invoice) == [("payment", "50.00")]
    assert unassigned(world, org) == [("payment", 10), ("top_up", 40)]


def test_a_withdrawal_uses_up_the_oldest_money(world: World) -> None:
    org, _ = customer(world)
    for amount in ("10", "20"):
        pay(world, org, amount)

    world.withdraw(org, "15")

    assert unassigned(world, org) == [("payment", 0), ("payment", 15)]


def test_surplus_is_allocated_on_request_oldest_money_and_invoice_first(world: World) -> None:
    org, (first, second) = customer(world, "30", "40")
    old, new = (pay(world, org, amount)["transaction_id"] for amount in ("35", "50"))

    done = allocate(world, org)

    assert done == [
        {"source": old, "invoice_id": first, "amount": "30.00"},
        {"source": old, "invoice_id": second, "amount": "5.00"},
        {"source": new, "invoice_id": second, "amount": "35.00"},
    ]
    assert unassigned(world, org) == [("payment", 0), ("payment", 15)]
    assert read(world, org, second)["status"] == "paid"
    assert allocate(world, org) == [], "there is nothing left to pay"


@pytest.mark.parametrize(
    ("mode", "code"), [("prepaid", "postpaid_only"), ("closed", "account_closed")]
)
def test_allocation_is_refused(world: World, mode: str, code: str) -> None:
    org = world.open("prepaid" if mode == "prepaid" else "postpaid", limit="10")
    if mode == "closed":
        with world.database.transaction() as session:
            actions.close_account(session, organization_id=org, deletion_id="d", now=clock.now())

    refused = world.post(org, "allocate", {})

    assert (refused.status_code, refused.json["code"]) == (409, code)


def test_a_change_of_mode_uses_up_the_surplus_and_makes_a_new_source(world: World) -> None:
    org, _ = customer(world)
    pay(world, org, "10")
    assert world.patch(org, {"payment_mode": "prepaid"}).status_code == 200
    assert unassigned(world, org) == [("payment", 0)]

    assert world.patch(org, {"payment_mode": "postpaid"}).status_code == 200

    assert unassigned(world, org) == [("payment", 0), ("mode_change", 10)]


def test_the_billing_run_pays_from_the_oldest_money(world: World) -> None:
    org, _ = customer(world)
    pay(world, org, "10")
    top_up(world, org, "10")
    world.charge(org, "15")
    with world.database.reading() as session:
        ends = session.get_one(Account, org).month_ends_at

    world.run_jobs("run_billing", now=ends)

    listed = world.call("GET", f"/v1/organizations/{org}/invoices").json["data"]
    assert payers(world, org, listed[0]["id"]) == [("payment", "10.00"), ("top_up", "5.00")]
    assert unassigned(world, org) == [("payment", 0), ("top_up", 5)]


def test_a_reversed_withdrawal_gives_the_money_back_to_its_source(world: World) -> None:
    org, _ = customer(world)
    payment = pay(world, org, "100")
    withdrawn = world.withdraw(org, "100")

    reverse(world, org, withdrawn["id"])
    assert unassigned(world, org) == [("payment", 100)]
    reverse(world, org, payment["transaction_id"])

    account = world.account(org)
    assert (account["expecting_invoice"], account["amount_due"]) == ("0.00", "0.00")
    assert unassigned(world, org) == [("payment", 0)]


def test_money_given_back_after_its_source_was_reversed_is_a_source_of_its_own(
    world: World,
) -> None:
    org, _ = customer(world)
    payment = pay(world, org, "100")
    withdrawn = world.withdraw(org, "100")
    reverse(world, org, payment["transaction_id"])

    reverse(world, org, withdrawn["id"])

    assert unassigned(world, org) == [("payment", 0), ("reversal", 100)]


@pytest.mark.parametrize("spent", ["", "40"])
def test_a_reversal_follows_the_money_through_changes_of_mode(world: World, spent: str) -> None:
    org, _ = customer(world)
    payment = pay(world, org, "100")
    world.patch(org, {"payment_mode": "prepaid"})
    if spent:
        world.charge(org, spent)
    world.patch(org, {"payment_mode": "postpaid"})

    reverse(world, org, payment["transaction_id"])

    account = world.account(org)
    owed = f"-{spent}.00" if spent else "0.00"
    assert (account["expecting_invoice"], account["amount_due"]) == (owed, "0.00")
    assert unassigned(world, org) == [("payment", 0), ("mode_change", 0)]


@pytest.mark.parametrize("kind", ["top_up", "goodwill"])
def test_what_came_in_while_prepaid_and_paid_an_invoice_since_makes_it_due(
    world: World, kind: str
) -> None:
    org = world.open(limit="100")
    came_in = (top_up(world, org, "50") if kind == "top_up" else world.adjust(org, "50", kind))[
        "id"
    ]
    world.patch(org, {"payment_mode": "postpaid"})
    world.charge(org, "50")
    invoice = issue(world, org)["id"]
    other = pay(world, org, "50")

    reverse(world, org, came_in)

    assert read(world, org, invoice)["open"] == "50.00"
    shown = world.call("GET", f"/v1/organizations/{org}/payments/{other['id']}").json
    assert shown["unassigned"] == "50.00", "the money of others stays"
    assert world.account(org)["expecting_invoice"] == "0.00"


def test_the_upgrade_rebuilds_the_same_from_the_journal(world: World, owner: Database) -> None:
    org, (first, second) = customer(world, "30", "40")
    paid = [pay(world, org, amount, invoice) for amount, invoice in (("50", first), ("25", second))]
    world.withdraw(org, "5")
    path = f"/v1/organizations/{org}/payments/{paid[0]['id']}"
    world.call("PATCH", path, {"invoice_ids": [second]})
    world.adjust(org, "90", "goodwill")
    world.charge(org, "60")
    invoice = issue(world, org)["id"]
    body = {"amount": "20", "reason": "late"}
    world.call("POST", f"/v1/organizations/{org}/invoices/{invoice}/credit-notes", body)
    reverse(world, org, paid[1]["transaction_id"])
    pay(world, org, "30")
    withdrawn = world.withdraw(org, "70")
    reverse(world, org, withdrawn["id"])
    allocate(world, org)
    for mode in ("prepaid", "postpaid"):
        world.charge(org, "3")
        world.patch(org, {"payment_mode": mode})
    world.withdraw(org, "1")

    with tampering(owner) as session:
        connection = session.connection()
        before = _stored(connection, org)
        for table in ("sources", "allocations"):
            connection.execute(text(f"DELETE FROM {table}"))
        with Operations.context(MigrationContext.configure(connection)):
            _migration("0007_allocations")._rebuild()
        after = _stored(connection, org)

    assert len(before[0]) >= 3
    assert after == before


def _stored(connection: Connection, org: str) -> list[Any]:
    tables: tuple[Any, ...] = (Source.__table__, Allocation.__table__)
    return [
        connection.execute(
            select(table).where(table.c.organization_id == org).order_by(*table.primary_key)
        ).all()
        for table in tables
    ]


def _migration(name: str) -> Any:
    path = SERVICE.migrations / "versions" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
