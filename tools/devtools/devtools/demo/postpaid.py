"""The life of a postpaid customer: thousands of usage records, an invoice, payments, a credit note,
deletion."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from devtools.demo.api import Api
from devtools.demo.customer import Customer, money
from devtools.demo.narrator import Narrator
from devtools.demo.waiting import until

PDF = Path("var/demo/invoice.pdf")
GONE_WITHIN = 60.0
LIMIT = "500.00"
RECORDS, EACH = 1000, "0.012345"
RENT = "87.655"
TOTAL, FIRST, CREDITED, REST = "100.00", "60.00", "15.00", "25.00"


@dataclass
class Business(Customer):
    """A customer that pays by invoice."""

    currency: str = "CHF"

    @property
    def organization(self) -> dict[str, Any]:
        """The body of the request that creates it."""
        email = f"finance.{self.run}@aarequai.example"
        return {
            "name": "Aarequai Verlag & Söhne",
            "country": "CH",
            "currency": self.currency,
            "timezone": "Europe/Zurich",
            "pricing_model": "app",
            "payment_mode": "postpaid",
            "credit_limit": LIMIT,
            "billing": {
                "email": email,
                "name": "Aarequai Verlag & Söhne AG",
                "address": "Aarequai 7",
                "city": "Thun",
            },
            "owner": {"given_name": "Léa", "family_name": "Brönnimann", "email": email},
            "buyer_tags": {"CustomerRef": f"DEMO-{self.run}"},
            "demo": True,
        }


def tell_life(api: Api, tell: Narrator) -> None:
    """Run every step; the grace period must be 0 days. Raises Differs at the first unexpected
    result."""
    tell.chapter("One that pays afterwards")
    customer = _open(api, tell)
    _use(customer)
    invoice = _invoice(customer)
    _print(customer, invoice)
    _pay(customer, invoice, FIRST, money(Decimal(TOTAL) - Decimal(FIRST)))
    _credit(customer, invoice)
    _settle(customer, invoice)
    _close(customer)


def _open(api: Api, tell: Narrator) -> Customer:
    tell.step(f"Create a customer that pays by invoice, with a credit limit of {LIMIT}")
    customer = Business(api, tell)
    opened = api.call(
        "POST", "/v1/organizations", customer.organization, key=customer.key("open"), wait=10
    )
    body = tell.answered(opened, 201)
    customer.id = body["id"]
    tell.check("status", body["status"], "active")
    tell.check("payment mode", body["payment_mode"], "postpaid")
    return customer


def _use(customer: Customer) -> None:
    tell, now = customer.tell, datetime.now(UTC).isoformat()
    tell.step(f"Send {RECORDS:,} usage records of {EACH} in one request, and one that is invalid")
    records = [
        {
            "id": f"{customer.run}-{n}",
            "organization_id": customer.id,
            "amount": EACH,
            "at": now,
            "description": f"Text message {n}",
        }
        for n in range(RECORDS)
    ]
    senseless = {**records[0], "id": f"{customer.run}-odd", "amount": "-1"}
    body = tell.answered(
        customer.api.call("POST", "/v1/usage", {"records": [*records, senseless]}), 200
    )
    tell.check("accepted", body["accepted"], RECORDS)
    tell.check("refused", [record["code"] for record in body["refused"]], ["invalid_amount"])
    tell.step("Send them again: each record counts once")
    body = tell.answered(customer.api.call("POST", "/v1/usage", {"records": records}), 200)
    tell.check("accepted", body["accepted"], 0)
    tell.check("duplicates", body["duplicates"], RECORDS)
    tell.step(f"Charge {RENT} for rent")
    wanted = {"amount": RENT, "kind": "one_off", "description": "Rent of a conference room"}
    tell.answered(customer.post("account/charges", wanted, "charge"), 201)
    _check_account(
        customer, expecting_invoice=f"-{TOTAL}", amount_due="0.00", usable_credits="400.00"
    )


def _invoice(customer: Customer) -> dict[str, Any]:
    tell = customer.tell
    tell.step("Issue the invoice: the amount owed stays the same, the credit limit is free again")
    invoice = tell.answered(customer.post("invoices", {}, "invoice"), 201)
    tell.check("total", invoice["total"], TOTAL)
    tell.check("lines", len(invoice["lines"]), RECORDS + 1)
    tell.check("status", invoice["status"], "awaiting_payment")
    days = (date.fromisoformat(invoice["due_on"]) - date.fromisoformat(invoice["issued_on"])).days
    tell.check(
        "days to pay", days, customer.api.call("GET", "/v1/settings").body["payment_terms_days"]
    )
    _check_account(customer, expecting_invoice="0.00", amount_due=f"-{TOTAL}", usable_credits=LIMIT)
    return invoice


def _print(customer: Customer, invoice: dict[str, Any]) -> None:
    tell = customer.tell
    tell.step("Download it as a PDF")
    answer = customer.get(f"invoices/{invoice['id']}.pdf")
    tell.answered(answer, 200)
    tell.check("type", answer.media, "application/pdf")
    tell.check("a PDF", answer.file.startswith(b"%PDF-"), True)
    PDF.parent.mkdir(parents=True, exist_ok=True)
    PDF.write_bytes(answer.file)
    tell.note(f"{len(answer.file):,} bytes are in {PDF.resolve()}")


def _pay(customer: Customer, invoice: dict[str, Any], amount: str, left: str) -> None:
    tell = customer.tell
    tell.step(f"Record a payment of {amount}")
    wanted = {"amount": amount, "method": "bank_transfer", "reference": invoice["number"]}
    body = tell.answered(customer.post("payments", wanted, f"pay-{amount}"), 201)
    tell.check(
        "assigned",
        [f"{share['number']} {share['amount']}" for share in body["invoices"]],
        [f"{invoice['number']} {amount}"],
    )
    _check_open(customer, invoice, left, "awaiting_payment" if Decimal(left) else "paid")


def _credit(customer: Customer, invoice: dict[str, Any]) -> None:
    tell = customer.tell
    tell.step(f"Credit {CREDITED} of it: the room had no window")
    wanted = {"amount": CREDITED, "reason": "The room had no window"}
    body = tell.answered(
        customer.post(f"invoices/{invoice['id']}/credit-notes", wanted, "credit"), 201
    )
    tell.check("credited", body["credited"], CREDITED)
    _check_open(customer, invoice, REST, "awaiting_payment")


def _settle(customer: Customer, invoice: dict[str, Any]) -> None:
    tell = customer.tell
    tell.step("Check what would block a deletion")
    (blocker,) = tell.answered(customer.get("deletion-check"), 200)["blockers"]
    tell.check("blocker", f"{blocker['code']} {blocker['amount']}", f"amount_due {REST}")
    tell.check(
        "the way out",
        f"{blocker['fix']['method']} {blocker['fix']['href']}",
        f"POST {customer.path}/payments",
    )
    _pay(customer, invoice, blocker["amount"], "0.00")


def _close(customer: Customer) -> None:
    tell = customer.tell
    tell.step("Delete it: nothing is owed, so it is deleted immediately")
    body = tell.answered(
        customer.api.call("DELETE", customer.path, {"reason": "Moved away"}, wait=10), 200
    )
    tell.check("accepted", body["status"] in ("scheduled", "purging", "completed"), True)
    until(lambda: customer.get().body.get("status") == "deleted", seconds=GONE_WITHIN)
    tell.check("status", tell.answered(customer.get(), 200)["status"], "deleted")
    tell.step("Its invoices are kept")
    listed = tell.answered(customer.get("invoices"), 200)["data"]
    tell.check(
        "invoices",
        [f"{invoice['status']} {invoice['total']}" for invoice in listed],
        [f"paid {TOTAL}"],
    )


def _check_open(customer: Customer, invoice: dict[str, Any], left: str, status: str) -> None:
    body = customer.tell.answered(customer.get(f"invoices/{invoice['id']}"), 200)
    customer.tell.check("still open", body["open"], left)
    customer.tell.check("status", body["status"], status)


def _check_account(customer: Customer, **figures: str) -> None:
    body = customer.tell.answered(customer.get("account"), 200)
    for figure, expected in figures.items():
        customer.tell.check(figure, body[figure], expected)
