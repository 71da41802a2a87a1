"""The life of a prepaid customer, from creation to deletion. Every step checks its result."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from devtools.demo import owner, postpaid, statement
from devtools.demo.api import Answer, Api
from devtools.demo.customer import Customer, money
from devtools.demo.narrator import Narrator
from devtools.demo.waiting import until

GRACE_DAYS = 30
DELETED_WITHIN = 60.0
CREDIT = "250.00"
HELD, CAPTURED = "25.00", "4.00"
CHARGES = (
    ("12.345678", "usage", "Calls to Jakarta, 37 minutes"),
    ("49.90", "subscription", "Team plan, one month"),
    ("0.000001", "usage", "The smallest amount there is"),
    ("3.5", "one_off", "SIM card by courier"),
)


def tell_life(api: Api, tell: Narrator, mails: Path | None) -> None:
    """Run every step, ending with the statement of account. Raises Differs at the first unexpected
    result."""
    with _grace_kept(api, tell):
        tell.chapter("A prepaid customer")
        customer = _open(api, tell)
        owner.join(customer, mails)
        _credit(customer)
        _charge(customer)
        _reserve(customer)
        tell.chapter("Closing it")
        _refused_deletion(customer)
        _withdraw_the_rest(customer)
        _first_deletion(customer)
        _cancelled_deletion(customer)
        _second_deletion(customer)
        _tombstone(customer)
        postpaid.tell_life(api, tell)
    tell.chapter("What is kept")
    _timeline(customer)
    statement.show(customer)


def _open(api: Api, tell: Narrator) -> Customer:
    tell.step("Create a customer and wait until billing and membership have confirmed")
    customer = Customer(api, tell)
    body = tell.answered(
        api.call(
            "POST", "/v1/organizations", customer.organization, key=customer.key("open"), wait=10
        ),
        201,
    )
    customer.id = body["id"]
    tell.check("name", body["name"], customer.organization["name"])
    tell.check("status", body["status"], "active")
    return customer


def _credit(customer: Customer) -> None:
    tell, wanted = (
        customer.tell,
        {"amount": CREDIT, "method": "bank_transfer", "reference": "Invoice 2041"},
    )
    tell.step(f"Top up {CREDIT} {customer.currency}")
    first = tell.answered(customer.post("account/top-ups", wanted, "credit"), 201)
    customer.balance = Decimal(CREDIT)
    tell.check("balance after", first["balance_after"], money(customer.balance))
    tell.step("Send the same request again, as if the response had been lost")
    again = customer.post("account/top-ups", wanted, "credit")
    tell.check("transaction", tell.answered(again, 201)["id"], first["id"])
    tell.check("replayed", again.replayed, True)
    _check_account(customer)


def _charge(customer: Customer) -> None:
    tell = customer.tell
    for number, (amount, kind, description) in enumerate(CHARGES):
        tell.step(f"Charge {amount}: {description}")
        wanted = {"amount": amount, "kind": kind, "description": description}
        body = tell.answered(customer.post("account/charges", wanted, f"charge-{number}"), 201)
        customer.balance -= Decimal(amount)
        tell.check("balance after", body["balance_after"], money(customer.balance))
    tell.step("Read the account")
    _check_account(customer)


def _reserve(customer: Customer) -> None:
    tell, held = customer.tell, Decimal(HELD)
    tell.step(f"Reserve {HELD} for a call that starts now")
    wanted = {"amount": HELD, "description": "Call to Surabaya", "expires_in": 900}
    reservation = tell.answered(customer.post("account/reservations", wanted, "reserve"), 201)
    tell.check("status", reservation["status"], "open")
    body = tell.answered(customer.get("account"), 200)
    tell.check("reserved", body["reserved_credits"], HELD)
    tell.check("usable_credits", body["usable_credits"], money(customer.balance - held))
    tell.step(f"The call has ended and cost {CAPTURED}; the rest is released")
    capture = f"account/reservations/{reservation['id']}/capture"
    body = tell.answered(customer.post(capture, {"amount": CAPTURED}, "capture"), 200)
    customer.balance -= Decimal(CAPTURED)
    tell.check("status", body["status"], "captured")
    tell.check("released", body["released"], money(held - Decimal(CAPTURED)))
    _check_account(customer)


def _check_account(customer: Customer) -> None:
    body = customer.tell.answered(customer.get("account"), 200)
    for figure in ("balance", "usable_credits"):
        customer.tell.check(figure, body[figure], money(customer.balance))


def _refused_deletion(customer: Customer) -> None:
    tell = customer.tell
    tell.step("Check what would block a deletion")
    check = tell.answered(customer.get("deletion-check"), 200)
    tell.check("deletable", check["deletable"], False)
    _check_blockers(customer, check)
    tell.step("Try to delete it anyway")
    refusal = tell.answered(_delete(customer), 409)
    tell.check("code", refusal["code"], "deletion_refused")
    _check_blockers(customer, refusal)
    tell.check("status of the customer", customer.get().body.get("status"), "active")


def _check_blockers(customer: Customer, body: dict[str, Any]) -> None:
    blockers = [
        (b["code"], b.get("amount"), b["fix"]["method"], b["fix"]["href"]) for b in body["blockers"]
    ]
    way = ("POST", f"{customer.path}/account/withdrawals")
    customer.tell.check(
        "blockers",
        [" ".join(map(str, blocker)) for blocker in blockers],
        [" ".join(("credits_left", money(customer.balance), *way))],
    )


def _withdraw_the_rest(customer: Customer) -> None:
    tell, rest = customer.tell, money(customer.balance)
    tell.step(f"Withdraw the rest, {rest} {customer.currency}, as the refusal suggests")
    wanted = {"amount": rest, "method": "bank_transfer", "reason": "The customer leaves"}
    body = tell.answered(customer.post("account/withdrawals", wanted, "withdraw"), 201)
    customer.balance = Decimal(0)
    tell.check("balance after", body["balance_after"], money(customer.balance))
    check = tell.answered(customer.get("deletion-check"), 200)
    tell.check("deletable", check["deletable"], True)


def _first_deletion(customer: Customer) -> None:
    tell = customer.tell
    tell.step(
        "Delete it: billing closes the account, membership ends access, the grace period starts"
    )
    body = tell.answered(_delete(customer), 200)
    tell.check("deletion", body["status"], "scheduled")
    left = datetime.fromisoformat(body["purge_at"]) - datetime.fromisoformat(body["confirmed_at"])
    tell.check("grace period", str(left), str(timedelta(days=GRACE_DAYS)))
    _check_status(customer, "suspended_for_deletion")
    tell.step("Charges are refused")
    refusal = tell.answered(_small_charge(customer, "charge-closed"), 409)
    tell.check("code", refusal["code"], "account_closed")
    owner.is_out(customer)


def _cancelled_deletion(customer: Customer) -> None:
    tell = customer.tell
    tell.step(
        "Cancel the deletion: activate it and wait until billing and membership have reopened it"
    )
    body = tell.answered(customer.post("activate", {}, "activate", wait=10), 200)
    tell.check("status", body["status"], "active")
    owner.is_back(customer)
    tell.step("Charges are possible again, but there are no credits")
    refusal = tell.answered(_small_charge(customer, "charge-empty"), 409)
    tell.check("code", refusal["code"], "insufficient_credits")
    tell.check("shortfall", refusal["shortfall"], "5.00")


def _second_deletion(customer: Customer) -> None:
    tell = customer.tell
    tell.step("Set the grace period to 0 days")
    tell.check("grace period in days", _set_grace(customer.api, tell, 0), 0)
    tell.step("Delete it again")
    body = tell.answered(_delete(customer), 200)
    tell.check("accepted", body["status"] in ("scheduled", "purging", "completed"), True)
    tell.step("Wait until it is deleted")
    until(lambda: customer.get().body.get("status") == "deleted", seconds=DELETED_WITHIN)
    _check_status(customer, "deleted")
    tell.check("deletion", tell.answered(customer.get("deletion"), 200)["status"], "completed")


def _tombstone(customer: Customer) -> None:
    tell = customer.tell
    tell.step("A record without personal data is kept, and it cannot be activated again")
    body = tell.answered(customer.get(), 200)
    tell.check("owner's email", (body.get("owner") or {}).get("email"), None)
    tell.answered(customer.post("activate", {}, "activate-deleted"), 410)


def _timeline(customer: Customer) -> None:
    tell = customer.tell
    tell.step("The timeline, from all services")

    def look() -> Answer | None:
        answer = customer.get("timeline?limit=200")
        actions = [row["action"] for row in answer.body.get("data", [])]
        return answer if "organization.deleted" in actions or answer.status != 200 else None

    rows = tell.answered(until(look, seconds=10) or customer.get("timeline?limit=200"), 200)["data"]
    for row in reversed(rows):
        tell.note(
            f"{row['at'][11:19]}  {row['service']:10}  {row['action']:34} "
            f" {row['actor'].get('label') or ''}"
        )
    tell.check(
        "services", sorted({row["service"] for row in rows}), ["billing", "membership", "org"]
    )


def _check_status(customer: Customer, expected: str) -> None:
    body = customer.tell.answered(customer.get(), 200)
    customer.tell.check("status", body["status"], expected)


def _small_charge(customer: Customer, step: str) -> Answer:
    wanted = {"amount": "5.00", "kind": "one_off", "description": "One more thing"}
    return customer.post("account/charges", wanted, step)


def _delete(customer: Customer) -> Answer:
    return customer.api.call("DELETE", customer.path, {"reason": "The customer leaves"}, wait=10)


@contextmanager
def _grace_kept(api: Api, tell: Narrator) -> Iterator[None]:
    """Restores the provider's own grace period afterwards, however the demo ends."""
    tell.step("Read the provider's settings")
    before = tell.answered(api.call("GET", "/v1/settings"), 200)["deletion_grace_days"]
    try:
        if before != GRACE_DAYS:
            tell.check("grace period in days", _set_grace(api, tell, GRACE_DAYS), GRACE_DAYS)
        yield
    finally:
        answer = api.call("PATCH", "/v1/settings", {"deletion_grace_days": before}, wait=10)
        tell.note(
            f"The grace period is {before} days again"
            if answer.status == 200
            else f"The grace period could not be set back to {before} days: {answer.in_words}"
        )


def _set_grace(api: Api, tell: Narrator, days: int) -> Any:
    answer = api.call("PATCH", "/v1/settings", {"deletion_grace_days": days}, wait=10)
    return tell.answered(answer, 200)["deletion_grace_days"]
