"""The oracle for invoices, credit notes and payments."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from tests.billing.ledger.posting_oracle import PostingOracle, Refused
from tests.billing.ledger.wallets import (
    EDITS,
    NOW,
    OWN,
    Bill,
    Done,
    Effect,
    Payment,
    Wallet,
    next_month,
    this_month,
)


class InvoiceOracle(PostingOracle):
    """Invoices, credits, pays and reassigns."""

    def settle(
        self,
        wallet: Wallet,
        available: int,
        source: str | None = None,
        bills: Sequence[Bill] | None = None,
    ) -> list[Effect]:
        """Pay these bills, by default the oldest first, until nothing is available."""
        effects: list[Effect] = []
        for bill in wallet.bills if bills is None else bills:
            part = min(available, bill.open)
            if part:
                effects.append(("pay", part, (bill, source)))
                available -= part
        return effects

    def invoice(
        self, wallet: Wallet, before: datetime | None = None, total: int | None = None
    ) -> Bill:
        """Invoice the whole unbilled amount, or what it was at the end of the month."""
        if before is None:
            self.check_status(wallet)
            if wallet.mode == "prepaid" or not wallet.unbilled:
                raise Refused("nothing_to_invoice")
        bill = Bill(NOW, wallet.unbilled if total is None else total)
        for done in wallet.done:
            if done.billable and done.bill is None and (before is None or done.at < before):
                done.bill = bill
        wallet.past = [point for point in wallet.past if before is not None and point[0] >= before]
        wallet.bills.append(bill)
        effects = [("unbilled", -bill.total, None), ("invoiced", bill.total, None)]
        self.post(
            wallet,
            Done(NOW, "invoice", 0, self.now),
            [*effects, *self.settle(wallet, wallet.surplus, bills=[bill])],
        )
        if before is None:
            wallet.past = []
        return bill

    def end_month(self, wallet: Wallet) -> Bill | None:
        """Invoice the unbilled amount of ended months."""
        if wallet.month_ends is None or wallet.month_ends > self.now:
            return None
        bill, begins = None, this_month(self.now)
        cut = [unbilled for at, unbilled in wallet.past if at < begins]
        if wallet.unbilled and cut and cut[-1]:
            whole = wallet.unbilled < cut[-1]
            bill = self.invoice(
                wallet,
                self.now + timedelta(days=1) if whole else begins,
                min(wallet.unbilled, cut[-1]),
            )
        wallet.month_ends = next_month(self.now)
        return bill

    def void(self, wallet: Wallet, bill: Bill) -> None:
        self.check_status(wallet)
        if bill.void:
            raise Refused("invoice_void")
        if bill.paid or bill.credited:
            raise Refused("invoice_settled")
        bill.void = True
        for done in wallet.done:
            if done.bill is bill:
                done.bill, done.at = None, self.now
        self.post(
            wallet,
            Done(NOW, "void", 0, self.now),
            [("invoiced", -bill.total, None), ("unbilled", bill.total, None)],
        )

    def credit(
        self, wallet: Wallet, bill: Bill, amount: int | None, done: Done | None = None
    ) -> Done:
        """A credit note: it lowers the balance due, and returns what was paid to the customer."""
        self.check_status(wallet)
        left = bill.total - bill.credited
        amount = left if amount is None else amount
        if bill.void:
            raise Refused("invoice_void")
        if not 0 < amount <= left:
            raise Refused("credit_exceeds_invoice")
        back = amount - min(amount, bill.open)
        bill.credited += amount
        effects: list[Effect] = [("pay", -back, (bill, None))] if back else []
        effects.append(("invoiced", -amount, bill))
        if back and wallet.mode == "prepaid":
            effects += [("surplus", -back, None), ("prepaid", back, None)]
        return self.post(wallet, done or Done(NOW, "credit_note", amount, self.now), effects)

    def pay(
        self, wallet: Wallet, amount: int, method: str, bills: Sequence[Bill] | None
    ) -> Payment:
        self.check_status(wallet)
        if wallet.mode == "prepaid":
            raise Refused("account_prepaid")
        if any(bill.status != "awaiting_payment" for bill in bills or ()):
            raise Refused("invoice_not_payable")
        self.check_method(wallet, method, amount)
        done = Done(NOW, "payment", amount, self.now, method=method)
        effects = [("surplus", amount, None), *self.settle(wallet, amount, OWN, bills)]
        self.post(wallet, done, effects)
        assert done.source is not None
        payment = done.payment = Payment(NOW, amount, done.source)
        wallet.payments.append(payment)
        return payment

    def assign(self, wallet: Wallet, payment: Payment, bills: Sequence[Bill]) -> None:
        self.check_status(wallet)
        if wallet.mode == "prepaid":
            raise Refused("account_prepaid")
        if payment.status != "received":
            raise Refused("payment_reversed")
        source = payment.source
        before = {bill.id: bill.shares.get(source, 0) for bill in wallet.bills}
        if any(bill.status != "awaiting_payment" and not before[bill.id] for bill in bills):
            raise Refused("invoice_not_payable")
        available = sum(before.values()) + source.left
        after = dict.fromkeys(before, 0)
        for bill in bills:
            after[bill.id] = min(available, bill.open + before[bill.id])
            available -= after[bill.id]
        if before == after:
            return
        if payment.edits >= EDITS:
            raise Refused("payment_edits_exhausted")
        payment.edits += 1
        changes = [(after[bill.id] - before[bill.id], bill) for bill in wallet.bills]
        less = [("pay", change, (bill, source)) for change, bill in changes if change < 0]
        more = [("pay", change, (bill, source)) for change, bill in changes if change > 0]
        self.post(wallet, Done(NOW, "reassignment", 0, self.now), less + more)

    def allocate(self, wallet: Wallet) -> None:
        self.check_status(wallet)
        if wallet.mode == "prepaid":
            raise Refused("postpaid_only")
        effects = self.settle(wallet, wallet.surplus)
        if effects:
            self.post(wallet, Done(NOW, "allocation", 0, self.now), effects)
