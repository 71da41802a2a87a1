"""What a newcomer should find on each page: some of the loaded customers get people, money,
invoices and troubles."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from devtools.demo.api import Answer, Api
from devtools.demo.rows import Outcome
from devtools.demo.telling import Teller


@dataclass
class Place:
    """One of the loaded customers. What is done again is done once: the keys are the same at every
    run. ``refused``: what could not be done, for somebody has gone on with this customer since."""

    api: Api
    outcome: Outcome
    steps: int = 0
    refused: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Where it is in the API."""
        return f"/v1/organizations/{self.outcome.organization_id}"

    def post(self, what: str, body: dict[str, Any]) -> None:
        """Do something to it."""
        self.steps += 1
        key = f"{self.outcome.row.key}-{self.steps}"
        self.note(self.api.call("POST", f"{self.path}/{what}", body, key=key, wait=10))

    def delete(self, reason: str) -> None:
        """Have it deleted at the end of the grace."""
        self.note(self.api.call("DELETE", self.path, {"reason": reason}, wait=10))

    def note(self, answer: Answer) -> None:
        """Keep in mind what was refused, but for what is there already."""
        if answer.status >= 400 and answer.status != 409:
            self.refused.append(f"{answer.path.rpartition('/')[2]} {answer.in_words}")


def _busy(place: Place) -> None:
    """Prepaid: used, nearly empty; with people of every kind."""
    for amount, words in (
        ("140.00", "Calls in March"),
        ("62.40", "Calls in April"),
        ("41.10", "Calls in May"),
    ):
        place.post("account/charges", {"amount": amount, "kind": "usage", "description": words})
    place.post("account/reservations", {"amount": "3.00", "description": "Number porting"})
    place.post(
        "members",
        {
            "given_name": "Aisha",
            "family_name": "Rahim",
            "portal_access": True,
            "role": "admin",
            "email": "aisha.rahim@kopi-kaya.example",
        },
    )
    place.post(
        "members",
        {
            "given_name": "Jun",
            "family_name": "Lim",
            "portal_access": True,
            "role": "member",
            "email": "jun.lim@kopi-kaya.example",
        },
    )
    place.post("members", {"name": "Front counter", "portal_access": False, "extension": "100"})


def _invoiced(place: Place) -> None:
    """Postpaid: an invoice paid in part, and something that is not invoiced yet."""
    place.post(
        "account/charges",
        {"amount": "420.00", "kind": "subscription", "description": "Five lines, a quarter"},
    )
    place.post(
        "account/charges", {"amount": "36.75", "kind": "usage", "description": "Calls in April"}
    )
    place.post("invoices", {})
    place.post(
        "payments", {"amount": "200.00", "method": "bank_transfer", "reference": "PAID-IN-PART"}
    )
    place.post(
        "account/charges", {"amount": "58.20", "kind": "usage", "description": "Calls in May"}
    )


def _suspended(place: Place) -> None:
    """Suspended, with something still due."""
    place.post(
        "account/charges", {"amount": "990.00", "kind": "one_off", "description": "Handsets"}
    )
    place.post("invoices", {})
    place.post("suspend", {"reason": "Three reminders, no answer"})


def _closing(place: Place) -> None:
    """Nothing left, to be deleted after the grace."""
    row = place.outcome.row.cells
    place.post(
        "account/withdrawals",
        {"amount": row["opening_credit"], "method": "bank_transfer", "reason": "Closing"},
    )
    place.delete("They have given up the shop")


# CustomerRef -> what becomes of it, and what there is to see.
SCENES: dict[str, tuple[Callable[[Place], None], str]] = {
    "C-1001": (_busy, "low on credits, with members of every kind"),
    "C-1003": (_invoiced, "an invoice paid in part, and more to invoice"),
    "C-1004": (_suspended, "suspended, with an invoice open"),
    "C-1005": (_closing, "to be deleted at the end of the grace"),
}


def dress(api: Api, outcomes: list[Outcome], tell: Teller) -> None:
    """Give some of the loaded customers a life of their own, and say where to look."""
    found = {one.row.cells["customer_ref"]: one for one in outcomes if one.organization_id}
    chosen = [(found[ref], *scene) for ref, scene in SCENES.items() if ref in found]
    if not chosen:
        return
    tell.step("Something to see on every page")
    for outcome, act, words in chosen:
        place = Place(api, outcome)
        act(place)
        left = f" (left as it was: {', '.join(place.refused)})" if place.refused else ""
        tell.note(f"{outcome.row.cells['name']}: {words}{left}")
