"""Invoices, credit notes and payments."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.billing.ledger.driver import Clock, Driver
from tests.billing.ledger.strategies import AMOUNT, METHOD, PART, PICK, WHO
from tests.billing.ledger.wallets import Bill, Payment, Wallet, written


class InvoiceRules(Driver):
    """Invoices, voids, credits, pays and reassigns."""

    @rule(who=WHO)
    def invoice(self, who: int, org: str = "") -> None:
        wallet = (
            self.oracle.wallets[org] if org else self.wallet(who, lambda wallet: wallet.unbilled)
        )
        self.command(
            "invoices",
            f"/v1/organizations/{wallet.id}/invoices",
            {},
            lambda: self.oracle.invoice(wallet),
        )

    @precondition(lambda self: any(wallet.month_ends for wallet in self.oracle.wallets.values()))
    @rule(late=st.sampled_from([-1, 0, 5, 40 * 86400 * 10**6]))
    def month_ends(self, late: int) -> None:
        ends = min(
            wallet.month_ends for wallet in self.oracle.wallets.values() if wallet.month_ends
        )
        Clock.now = max(Clock.now, ends + timedelta(microseconds=late))
        self.oracle.now = Clock.now
        self.world.run_jobs("run_billing", now=Clock.now)
        for wallet in self.oracle.wallets.values():
            bill = self.oracle.end_month(wallet)
            if bill:
                bill.id = self.newest(wallet)
                self.count("invoiced at month end")
        self.count("month end")

    def bill(self, pick: int) -> tuple[Wallet, Bill] | None:
        bills = [(wallet, bill) for wallet in self.oracle.wallets.values() for bill in wallet.bills]
        return bills[pick % len(bills)] if bills else None

    @rule(pick=PICK)
    def void(self, pick: int) -> None:
        if pick < 7:
            self.need_bill(pick)
        if not self.bill(pick):
            return
        wallet, bill = self.bill(pick)
        self.command(
            "void",
            f"/v1/organizations/{wallet.id}/invoices/{bill.id}/void",
            {},
            lambda: self.oracle.void(wallet, bill),
        )

    @rule(pick=PICK, amount=PART)
    def credit(self, pick: int, amount: Any) -> None:
        if pick < 7:
            self.need_bill(pick)
        if not self.bill(pick):
            return
        wallet, bill = self.bill(pick)
        left = bill.total - bill.credited
        amount = (
            None
            if amount is None
            else self.amount(wallet, left // 2 if amount == "half" else amount, left)
        )
        body = {"reason": "x"} | ({} if amount is None else {"amount": written(amount, "SGD")})
        path = f"/v1/organizations/{wallet.id}/invoices/{bill.id}/credit-notes"
        self.command(
            "credit-note", path, body, lambda: self.oracle.credit(wallet, bill, amount) and None
        )

    @rule(
        who=WHO,
        amount=AMOUNT,
        method=METHOD,
        chosen=st.one_of(st.none(), st.none(), st.lists(PICK, max_size=3)),
    )
    def pay(self, who: int, amount: Any, method: str, chosen: list[int] | None) -> None:
        if who < 7:
            self.need_bill(who)
        wallet = self.wallet(who, lambda wallet: wallet.invoiced)
        amount, bills = self.amount(wallet, amount), self.chosen(wallet, chosen)
        body: dict[str, Any] = {"amount": written(amount, "SGD"), "method": method}
        body |= {} if bills is None else {"invoice_ids": [bill.id for bill in bills]}
        self.command(
            "payments",
            f"/v1/organizations/{wallet.id}/payments",
            body,
            lambda: self.oracle.pay(wallet, amount, method, bills),
        )

    @rule(who=WHO)
    def allocate(self, who: int) -> None:
        wallet = self.wallet(who, lambda wallet: wallet.surplus and wallet.invoiced)
        path = f"/v1/organizations/{wallet.id}/account/allocate"
        self.command("allocate", path, {}, lambda: self.oracle.allocate(wallet))

    def all_paid(self) -> list[tuple[Wallet, Payment]]:
        return [
            (wallet, payment)
            for wallet in self.oracle.wallets.values()
            for payment in wallet.payments
        ]

    @rule(pick=PICK, chosen=st.lists(PICK, max_size=3), times=st.sampled_from([1, 1, 6]))
    def assign(self, pick: int, chosen: list[int], times: int) -> None:
        """Reassign once, or back and forth until the limit of edits."""
        if not self.all_paid() and pick < 7:
            self.pay(0, "debt", "cash", None)
            self.seen = self.stored_rows()
        for turn in range(times if self.all_paid() else 0):
            wallet, payment = self.all_paid()[pick % len(self.all_paid())]
            bills = self.chosen(wallet, chosen if turn % 2 == 0 else [])
            self.command(
                "assign",
                f"/v1/organizations/{wallet.id}/payments/{payment.id}",
                {"invoice_ids": [bill.id for bill in bills]},
                lambda wallet=wallet, payment=payment, bills=bills: self.oracle.assign(
                    wallet, payment, bills
                ),
                method="PATCH",
            )
            self.seen = self.stored_rows()
