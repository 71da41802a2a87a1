"""The worked examples, carried out."""

from datetime import UTC, datetime
from typing import Any

import pytest
from billing import actions
from billing.actions.usage.records import UsageRecord
from billing.values import parse_money
from chassis.runtime import ids

from tests.billing.billing_periods import end_months
from tests.billing.conftest import CLERK, World
from tests.billing.invoices.books import check_books, choose, listed, read
from tests.billing.invoices.worked_examples import EXAMPLES, JAN, Example


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.name for example in EXAMPLES])
def test_the_last_document_is_as_computed_by_hand(world: World, example: Example) -> None:
    country = "XX"
    names = ("country", "name", "rate", "valid_from")
    choose(
        world,
        tax_rates=[dict(zip(names, (country, *rate), strict=True)) for rate in example.rates],
        document_rounding=example.unit,
    )
    customer = Customer(world, example, country)

    for step, *arguments in example.steps:
        customer.do(step, arguments)

    shown = customer.last_note() if example.note else customer.last_invoice()
    taxes = [tuple(tax.values()) for tax in shown["tax_breakdown"]]
    total = shown["amount" if example.note else "total"]
    assert (total, shown["rounding"], taxes) == (example.total, example.rounding, [*example.taxes])
    check_books(world, customer.id)


class Customer:
    """A customer of the example's country, with what was done so far."""

    def __init__(self, world: World, example: Example, country: str) -> None:
        self.world, self.id = world, ids.new("org")
        self.charges: list[str] = []
        self.last: dict[str, str] = {}
        with world.database.transaction() as session:
            actions.open_account(
                session,
                organization_id=self.id,
                provider_id=world.provider_id,
                name="Acme",
                country=country,
                currency=example.currency,
                timezone=example.zone,
                payment_mode="postpaid",
                credit_limit=parse_money("100000"),
                billing=example.billing,
                buyer_tags={},
                now=datetime(2030, 1, 1, tzinfo=UTC),
            )

    def do(self, step: str, arguments: list[Any]) -> None:
        """Carry out a step; its last argument may be its time."""
        at = JAN
        if arguments and isinstance(arguments[-1], str) and "T" in arguments[-1]:
            at = arguments.pop()
        now = datetime.fromisoformat(at).replace(tzinfo=UTC)
        if step == "month end":
            end_months(self.world, now)
            return
        getattr(self, "_" + step.replace(" ", "_"))(now, *arguments)

    def _act(self, action: Any, now: datetime, **arguments: Any) -> Any:
        with self.world.database.transaction() as session:
            return action(session, organization_id=self.id, now=now, by=CLERK, **arguments)

    def _charge(self, now: datetime, amount: str) -> None:
        charged = self._act(
            actions.charge, now, amount=parse_money(amount), kind="usage", description="Calls"
        )
        self.charges.append(charged["id"])

    def _usage(self, now: datetime, amount: str, at: str) -> None:
        record = UsageRecord(
            provider_id=self.world.provider_id,
            id=f"record of {self.id}",
            organization_id=self.id,
            amount=parse_money(amount),
            cost=0,
            at=datetime.fromisoformat(at).replace(tzinfo=UTC),
            description="Calls",
            always=False,
        )
        with self.world.database.transaction() as session:
            actions.record_usage(session, records=[record], now=now, by=CLERK)

    def _invoice(self, now: datetime) -> None:
        self._act(actions.issue_invoice, now)

    def _void(self, now: datetime) -> None:
        invoice_id = self.last_invoice()["id"]
        self._act(actions.void_invoice, now, invoice_id=invoice_id, reason="Wrong address")

    def _credit(self, now: datetime, amount: str | None) -> None:
        self._act(
            actions.issue_credit_note,
            now,
            invoice_id=self.last_invoice()["id"],
            amount=None if amount is None else parse_money(amount),
            reason="Agreed",
        )

    def _refund(self, now: datetime, number: int, amount: str | None) -> None:
        self._act(
            actions.refund,
            now,
            transaction_id=self.charges[number],
            amount=None if amount is None else parse_money(amount),
            reason="Agreed",
        )

    def _adjust(self, now: datetime, amount: str, kind: str) -> None:
        amount_ = parse_money(amount, signed=True)
        self._act(actions.adjust, now, amount=amount_, kind=kind, reason="Agreed")

    def _top_up(self, now: datetime, amount: str) -> None:
        done = self._act(actions.top_up, now, amount=parse_money(amount), method="cash")
        self.last["top up"] = done["id"]

    def _withdraw(self, now: datetime, amount: str) -> None:
        self._act(actions.withdraw, now, amount=parse_money(amount), method="cash", reason="Agreed")

    def _reverse(self, now: datetime, what: str) -> None:
        self._act(actions.reverse, now, transaction_id=self.last[what], reason="Bounced")

    def _mode(self, now: datetime, mode: str) -> None:
        patch = {"payment_mode": mode}
        self._act(actions.change_account, now, patch=patch, check=lambda _: None)

    def last_invoice(self) -> dict[str, Any]:
        """The newest invoice."""
        shown: dict[str, Any] = read(self.world, self.id, listed(self.world, self.id)[0]["id"])
        return shown

    def last_note(self) -> dict[str, Any]:
        """The newest credit note of the newest invoice."""
        note: dict[str, Any] = self.last_invoice()["credit_notes"][-1]
        return note
