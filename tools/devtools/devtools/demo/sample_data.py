"""Sample data for every page: some of the loaded customers get members, transactions, invoices and
problems."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from devtools.demo.api import Answer, Api
from devtools.demo.narrator import Narrator
from devtools.demo.rows import Outcome


@dataclass
class SampleCustomer:
    """One of the loaded customers. The idempotency keys are the same in every run, so that nothing
    is done twice. ``refused``: what could not be done because the customer has changed since."""

    api: Api
    outcome: Outcome
    steps: int = 0
    refused: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Its path in the API."""
        return f"/v1/organizations/{self.outcome.organization_id}"

    def post(self, what: str, body: dict[str, Any]) -> None:
        """POST to something below the customer."""
        self.steps += 1
        key = f"{self.outcome.row.key}-{self.steps}"
        self.note(self.api.call("POST", f"{self.path}/{what}", body, key=key, wait=10))

    def delete(self, reason: str) -> None:
        """Delete it at the end of the grace period."""
        self.note(self.api.call("DELETE", self.path, {"reason": reason}, wait=10))

    def note(self, answer: Answer) -> None:
        """Remember what was refused, except conflicts with what exists already."""
        if answer.status >= 400 and answer.status != 409:
            self.refused.append(f"{answer.path.rpartition('/')[2]} {answer.in_words}")


def _busy(customer: SampleCustomer) -> None:
    """Prepaid, almost out of credits, with every kind of member."""
    for amount, words in (
        ("140.00", "Calls in March"),
        ("62.40", "Calls in April"),
        ("41.10", "Calls in May"),
    ):
        customer.post("account/charges", {"amount": amount, "kind": "usage", "description": words})
    customer.post("account/reservations", {"amount": "3.00", "description": "Number porting"})
    customer.post(
        "members",
        {
            "given_name": "Aisha",
            "family_name": "Rahim",
            "portal_access": True,
            "role": "admin",
            "email": "aisha.rahim@kopi-kaya.example",
        },
    )
    customer.post(
        "members",
        {
            "given_name": "Jun",
            "family_name": "Lim",
            "portal_access": True,
            "role": "member",
            "email": "jun.lim@kopi-kaya.example",
        },
    )
    customer.post("members", {"name": "Front counter", "portal_access": False, "extension": "100"})


def _invoiced(customer: SampleCustomer) -> None:
    """Postpaid, with a partly paid invoice and charges that are not invoiced yet."""
    customer.post(
        "account/charges",
        {"amount": "420.00", "kind": "subscription", "description": "Five lines, a quarter"},
    )
    customer.post(
        "account/charges", {"amount": "36.75", "kind": "usage", "description": "Calls in April"}
    )
    customer.post("invoices", {})
    customer.post(
        "payments", {"amount": "200.00", "method": "bank_transfer", "reference": "PAID-IN-PART"}
    )
    customer.post(
        "account/charges", {"amount": "58.20", "kind": "usage", "description": "Calls in May"}
    )


def _suspended(customer: SampleCustomer) -> None:
    """Suspended, with an unpaid invoice."""
    customer.post(
        "account/charges", {"amount": "990.00", "kind": "one_off", "description": "Handsets"}
    )
    customer.post("invoices", {})
    customer.post("suspend", {"reason": "Three reminders, no answer"})


def _closing(customer: SampleCustomer) -> None:
    """Empty and scheduled for deletion."""
    row = customer.outcome.row.cells
    customer.post(
        "account/withdrawals",
        {"amount": row["opening_credit"], "method": "bank_transfer", "reason": "Closing"},
    )
    customer.delete("They have given up the shop")


# CustomerRef -> what is done, and what there is to see.
SAMPLES: dict[str, tuple[Callable[[SampleCustomer], None], str]] = {
    "C-1001": (_busy, "low on credits, with every kind of member"),
    "C-1003": (_invoiced, "a partly paid invoice, and charges to invoice"),
    "C-1004": (_suspended, "suspended, with an unpaid invoice"),
    "C-1005": (_closing, "scheduled for deletion"),
}


def add(api: Api, outcomes: list[Outcome], tell: Narrator) -> None:
    """Add data to some of the loaded customers, and print which."""
    customers = {one.row.cells["customer_ref"]: one for one in outcomes if one.organization_id}
    chosen = [(customers[ref], *sample) for ref, sample in SAMPLES.items() if ref in customers]
    if not chosen:
        return
    tell.step("Add sample data for every page")
    for outcome, act, words in chosen:
        customer = SampleCustomer(api, outcome)
        act(customer)
        left = f" (not changed: {', '.join(customer.refused)})" if customer.refused else ""
        tell.note(f"{outcome.row.cells['name']}: {words}{left}")
