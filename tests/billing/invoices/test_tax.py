"""The tax in an invoice and in its credit notes."""

from datetime import timedelta

import pytest
from chassis.runtime import clock

from tests.billing.invoices.books import cents, check_books, choose, credit, issue


@pytest.mark.parametrize(
    ("total", "rate", "tax"),
    [
        ("109", "9", "9.00"),
        ("100", "8.1", "7.493062"),
        ("0.000001", "100", "0.00"),
        ("0.000003", "100", "0.000002"),
        ("0.000005", "100", "0.000002"),
        ("0.000007", "100", "0.000004"),
        ("12.5", "0", "0.00"),
    ],
)
def test_tax_is_extracted_from_the_total_half_even(world, total, rate, tax):
    choose(
        world,
        tax_rates=[{"country": "SG", "name": "GST", "rate": rate, "valid_from": "2020-01-01"}],
    )
    org = world.open("postpaid", limit="1000")
    world.charge(org, total)
    invoice = issue(world, org)
    assert invoice["tax"] == tax
    assert cents(invoice["net"]) + cents(tax) == cents(total)


def test_the_tax_is_that_of_the_country_on_the_day(world):
    tomorrow = (clock.now() + timedelta(days=2)).date().isoformat()
    rates = [
        ("SG", "old", "97", "2010-01-01"),
        ("SG", "now", "9", "2024-01-01"),
        ("SG", "next", "10", tomorrow),
        ("DE", "other", "19", "2025-01-01"),
    ]
    choose(
        world,
        tax_rates=[
            dict(zip(("country", "name", "rate", "valid_from"), rate, strict=True))
            for rate in rates
        ],
    )
    org = world.open("postpaid", limit="1000")
    world.charge(org, "10")
    assert issue(world, org)["tax_breakdown"][0]["name"] == "now"
    choose(world, version=2, payment_terms_days=0)
    world.charge(org, "10")
    bare = issue(world, org)
    assert (bare["tax"], bare["tax_breakdown"], bare["due_on"]) == ("0.00", [], bare["issued_on"])


def test_the_credit_notes_of_an_invoice_contain_exactly_its_tax(world):
    choose(
        world,
        tax_rates=[{"country": "SG", "name": "GST", "rate": "8.1", "valid_from": "2020-01-01"}],
    )
    org = world.open("postpaid", limit="100")
    world.charge(org, "67.66666")
    invoice = issue(world, org)
    written_off = world.adjust(org, "33.333333", "write_off")
    credit(world, org, invoice, "33.333333")
    credit(world, org, invoice, "0.999994")
    assert (
        world.post(org, f"transactions/{written_off['id']}/reverse", {"reason": "x"}).status_code
        == 201
    )
    notes = credit(world, org, invoice)["credit_notes"]
    assert sum(cents(note["tax"]) for note in notes) == cents(invoice["tax"])
    check_books(world, org)
