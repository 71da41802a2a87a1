"""What happens to a postpaid customer, step by step, from usage to deletion."""

import secrets
from datetime import date, timedelta

from devtools.demo.api import Api

from tests.customers import transact
from tests.journeys.money import figures, get, post, transacted, usage
from tests.waiting import until

DAY = timedelta(days=1)


def charge_usage(api: Api, path: str) -> str:
    """A thousand usage records and one charge; the id of the charge."""
    records = usage(path, 1000, cost="0.01")
    bad = [{**records[0], "id": "bad", "amount": "-1"}, {**records[1], "amount": "5"}]
    response = post(api, "/v1/usage", {"records": [*records, *bad]}, 200)
    assert (response["accepted"], response["duplicates"]) == (1000, 0)
    assert [refused["code"] for refused in response["refused"]] == [
        "invalid_amount",
        "record_id_reused",
    ]
    assert post(api, "/v1/usage", {"records": records}, 200)["duplicates"] == 1000
    charge = transacted(api, path, "charges", "20", kind="one_off", cost="5")
    assert figures(api, path, "expecting_invoice", "amount_due", "usable_credits", "balance") == (
        "-120.00",
        "0.00",
        "880.00",
        "-120.00",
    )
    return str(charge["id"])


def pay_the_first_invoice(api: Api, path: str) -> str:
    """An invoice over all of it, paid in two parts, with a surplus; its id."""
    invoice = post(api, f"{path}/invoices", {})
    assert (invoice["total"], invoice["tax"], invoice["status"]) == (
        "120.00",
        "8.99",
        "awaiting_payment",
    )
    assert (
        date.fromisoformat(invoice["due_on"]) == date.fromisoformat(invoice["issued_on"]) + 14 * DAY
    )
    assert len(invoice["lines"]) == 1001
    assert figures(api, path, "expecting_invoice", "amount_due", "usable_credits", "balance") == (
        "0.00",
        "-120.00",
        "1000.00",
        "-120.00",
    )
    again = api.call("POST", f"{path}/invoices", {}, key=secrets.token_hex(8))
    assert (again.status, again.body["code"]) == (409, "nothing_to_invoice")

    pdf = api.call("GET", f"{path}/invoices/{invoice['id']}.pdf")
    assert (pdf.status, pdf.media, pdf.file[:5]) == (200, "application/pdf", b"%PDF-")
    assert pdf.file.rstrip().endswith(b"%%EOF")

    part = post(api, f"{path}/payments", {"amount": "50", "method": "bank_transfer"})
    assert (part["assigned"], part["unassigned"]) == ("50.00", "0.00")
    assert get(api, f"{path}/invoices/{invoice['id']}")["open"] == "70.00"
    over = post(api, f"{path}/payments", {"amount": "100", "method": "bank_transfer"})
    assert (over["assigned"], over["unassigned"]) == ("70.00", "30.00")
    assert get(api, f"{path}/invoices/{invoice['id']}")["status"] == "paid"
    assert figures(api, path, "amount_due", "usable_credits") == ("30.00", "1030.00")
    return str(invoice["id"])


def credit_and_refund(api: Api, path: str, charge_id: str, first: str) -> str:
    """The surplus pays for the second invoice; a credit note and the refund of what the first one
    billed."""
    transacted(api, path, "charges", "80")
    second = post(api, f"{path}/invoices", {})
    assert (second["paid"], second["open"]) == ("30.00", "50.00")
    credited = post(
        api, f"{path}/invoices/{second['id']}/credit-notes", {"amount": "10", "reason": "Too much"}
    )
    assert (credited["credited"], credited["open"], len(credited["credit_notes"])) == (
        "10.00",
        "40.00",
        1,
    )
    assert figures(api, path, "amount_due") == ("-40.00",)

    refund = post(
        api, f"{path}/account/refunds", {"transaction_id": charge_id, "reason": "Did not work"}
    )
    assert (refund["kind"], refund["amount"], refund["refunds"]) == ("refund", "20.00", charge_id)
    assert get(api, f"{path}/invoices/{first}")["credited"] == "20.00"
    assert figures(api, path, "amount_due") == ("-20.00",)
    more = api.call(
        "POST",
        f"{path}/account/refunds",
        {"transaction_id": charge_id, "amount": "0.01", "reason": "x"},
        key=secrets.token_hex(8),
    )
    assert (more.status, more.body["code"]) == (409, "refund_exceeds_charge")
    post(api, f"{path}/payments", {"amount": "20", "method": "cash", "invoice_ids": [second["id"]]})
    assert get(api, f"{path}/invoices/{second['id']}")["open"] == "20.00"
    transacted(api, path, "withdrawals", "20")
    return str(second["id"])


def void_an_invoice(api: Api, path: str, second: str) -> None:
    """A third invoice is voided; the second cannot be any more."""
    transacted(api, path, "charges", "15")
    third = post(api, f"{path}/invoices", {})
    assert figures(api, path, "expecting_invoice", "amount_due") == ("0.00", "-35.00")
    assert (
        post(api, f"{path}/invoices/{third['id']}/void", {"reason": "Wrong month"}, 200)["status"]
        == "void"
    )
    assert figures(api, path, "expecting_invoice", "amount_due") == ("-15.00", "-20.00")
    refused = api.call("POST", f"{path}/invoices/{second}/void", {}, key=secrets.token_hex(8))
    assert (refused.status, refused.body["code"]) == (409, "invoice_settled")


def delete_the_customer(api: Api, path: str) -> None:
    """Each bucket is a blocker of its own, resolved by the call that is named with it."""
    post(api, f"{path}/payments", {"amount": "7", "method": "cash", "invoice_ids": []})
    post(api, f"{path}/account/reservations", {"amount": "5", "description": "A call"})
    post(api, f"{path}/account/reservations", {"amount": "2.5", "description": "Another"})
    blockers = [(b["code"], b["amount"]) for b in get(api, f"{path}/deletion-check")["blockers"]]
    assert sorted(blockers) == [
        ("amount_due", "20.00"),
        ("credits_reserved", "7.50"),
        ("overpaid", "7.00"),
        ("unbilled_amount", "15.00"),
    ]
    refusal = api.call("DELETE", path, {"reason": "leaves"}, wait=10)
    assert (refusal.status, refusal.body["code"]) == (409, "deletion_refused")
    assert sorted((b["code"], b["amount"]) for b in refusal.body["blockers"]) == sorted(blockers)

    apply_remedies(api, path)

    assert figures(api, path, "balance", "reserved_credits") == ("0.00", "0.00")
    deleted = api.call("DELETE", path, {"reason": "leaves"}, wait=10)
    assert deleted.status == 200, deleted
    until(lambda: get(api, path)["status"] == "deleted")
    refused = transact(api, path, "charges", "1")
    assert refused.status == 409, refused


def apply_remedies(api: Api, path: str) -> None:
    """Make the calls that the check names until there are no blockers."""
    for _ in range(8):
        blockers = get(api, f"{path}/deletion-check")["blockers"]
        if not blockers:
            return
        blocker = blockers[0]
        method, href = blocker["fix"]["method"], blocker["fix"]["href"]
        body = {
            "unbilled_amount": {},
            "amount_due": {"amount": blocker["amount"], "method": "bank_transfer"},
            "overpaid": {
                "amount": blocker["amount"],
                "method": "bank_transfer",
                "reason": "Leaves",
            },
            "credits_left": {
                "amount": blocker["amount"],
                "method": "bank_transfer",
                "reason": "Leaves",
            },
            "credits_reserved": None,
        }[blocker["code"]]
        response = api.call(
            method, href, body, key=secrets.token_hex(8) if method == "POST" else None
        )
        assert response.status in (200, 201), (blocker, response)
        if blocker["code"] == "credits_reserved":
            assert response.body["data"], response
            for held in response.body["data"]:
                post(api, f"{href.partition('?')[0]}/{held['id']}/release", {}, 200)
    raise AssertionError(f"still blocked: {blockers}")
