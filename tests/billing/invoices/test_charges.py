"""Charges that are invoiced at once, later, or elsewhere."""

import pytest

from tests.billing.invoices.books import (
    check_books,
    choose,
    covering,
    do,
    figures,
    issue,
    listed,
    names,
    read,
)


def test_an_individually_invoiced_charge_is_invoiced_at_once(world):
    choose(world, invoicing="individual")
    org = world.open("postpaid", limit="100")
    world.charge(org, "3")
    charged = world.charge(org, "90", kind="subscription", description="Seat", cost="5")
    (invoice,) = listed(world, org)
    assert (invoice["kind"], invoice["total"], invoice["from_seq"], invoice["to_seq"]) == (
        "individual",
        "90.00",
        2,
        3,
    )
    assert [line["description"] for line in read(world, org, invoice["id"])["lines"]] == ["Seat"]
    assert figures(world, org) == ("97.00", "-3.00", "-90.00", "-93.00")
    assert (charged["amount"], charged["balance_after"]) == ("-90.00", "-93.00")
    assert covering(world, org, charged) == invoice["id"]
    world.top_up(org, "100")
    world.charge(org, "4", kind="one_off")
    assert [i["status"] for i in listed(world, org)] == ["paid", "paid"]
    usage = issue(world, org)
    assert (usage["kind"], usage["total"], usage["number"][-4:]) == ("usage", "3.00", "0003")
    assert [line["kind"] for line in usage["lines"]] == ["usage"]
    assert names(world, org) == [
        "invoice_issued",
        "invoice_paid",
        "invoice_issued",
        "invoice_paid",
        "invoice_issued",
        "invoice_paid",
    ]
    check_books(world, org)


def test_the_charge_of_a_voided_individual_invoice_goes_on_the_next(world):
    choose(world, invoicing="individual")
    org = world.open("postpaid", limit="100")
    charged = world.charge(org, "20", kind="one_off")
    (alone,) = listed(world, org)
    do(world, org, alone, "void")
    assert covering(world, org, charged) is None
    world.charge(org, "1")
    usage = issue(world, org)
    assert [line["amount"] for line in usage["lines"]] == ["20.00", "1.00"]
    assert covering(world, org, charged) == usage["id"]
    check_books(world, org)


@pytest.mark.parametrize(
    ("invoicing", "mode"),
    [("individual", "prepaid"), ("consolidated", "postpaid"), ("none", "postpaid")],
)
def test_other_charges_wait_for_the_next_invoice(world, invoicing, mode):
    choose(world, invoicing=invoicing)
    org = world.open(mode, limit="100")
    world.charge(org, "20", kind="one_off")
    assert listed(world, org) == []
    if mode == "postpaid":
        assert issue(world, org)["kind"] == invoicing


def test_a_charge_on_an_external_invoice_is_not_invoiced_here(world):
    choose(world, invoicing="individual")
    org = world.open("postpaid", limit="100")
    world.charge(org, "20", kind="one_off", external_invoice="X")
    assert listed(world, org) == []
