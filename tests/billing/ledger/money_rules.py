"""Top-ups, withdrawals, charges, adjustments, refunds and reversals."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.billing.ledger.driver import Driver
from tests.billing.ledger.strategies import AMOUNT, BAD_MONEY, COST, KINDS, METHOD, PART, PICK, WHO
from tests.billing.ledger.wallets import NOW, Done, Wallet, written


class MoneyRules(Driver):
    """Moves money by hand."""

    @rule(
        who=WHO,
        amount=AMOUNT,
        method=METHOD,
        chosen=st.one_of(st.none(), st.none(), st.lists(PICK, max_size=3)),
    )
    def top_up(self, who: int, amount: Any, method: str, chosen: list[int] | None) -> None:
        wallet = self.wallet(who)
        if method == "issue" and amount in ("usable", "usable+"):
            amount = self.oracle.provider_money(wallet.currency)[2] + (amount == "usable+")
        amount, bills = self.amount(wallet, amount), self.chosen(wallet, chosen)
        body: dict[str, Any] = {"amount": written(amount, "SGD"), "method": method}
        body |= {} if bills is None else {"invoice_ids": [bill.id for bill in bills]}
        self.account(
            wallet, "top-ups", body, lambda: self.oracle.top_up(wallet, amount, method, bills)
        )

    @rule(who=WHO, amount=AMOUNT, method=METHOD)
    def withdraw(self, who: int, amount: Any, method: str) -> None:
        wallet = self.wallet(who)
        amount = self.amount(wallet, amount)
        self.account(
            wallet,
            "withdrawals",
            {"amount": written(amount, "SGD"), "method": method, "reason": "leaves"},
            lambda: self.oracle.withdraw(wallet, amount, method),
        )

    @rule(
        who=WHO,
        amount=AMOUNT,
        cost=COST,
        kind=KINDS,
        external=st.integers(0, 9).map(lambda n: n == 0),
    )
    def charge(
        self, who: int, amount: Any, cost: int, kind: str, external: bool, org: str = ""
    ) -> None:
        wallet = self.oracle.wallets[org] if org else self.wallet(who)
        amount = self.amount(wallet, amount)
        body = {"amount": written(amount, "SGD"), "kind": kind, "description": "Calls"}
        body |= {"cost": written(cost, "SGD")} if cost else {}
        body |= {"external_invoice": "R-1"} if external else {}
        shown = self.account(
            wallet,
            "charges",
            body,
            lambda: self.oracle.charge(wallet, amount, cost, kind, external),
        )
        if shown and wallet.bills and wallet.bills[-1].id == NOW:
            wallet.bills[-1].id = self.newest(wallet)

    def newest(self, wallet: Wallet) -> str:
        """The id of the invoice just issued."""
        path = f"/v1/organizations/{wallet.id}/invoices?limit=1"
        newest: str = self.send("GET", path, None).json["data"][0]["id"]
        return newest

    @rule(
        who=WHO,
        amount=AMOUNT,
        sign=st.sampled_from([1, -1]),
        kind=st.sampled_from(["write_off", "correction", "goodwill"]),
    )
    def adjust(self, who: int, amount: Any, sign: int, kind: str) -> None:
        wallet = self.wallet(who)
        amount = sign * self.amount(wallet, amount)
        self.account(
            wallet,
            "adjustments",
            {"amount": written(amount, "SGD"), "kind": kind, "reason": "agreed"},
            lambda: self.oracle.adjust(wallet, amount, kind),
        )

    @rule(
        who=WHO,
        money=BAD_MONEY,
        what=st.sampled_from(["top-ups", "withdrawals", "charges", "adjustments", "reservations"]),
    )
    def bad_money(self, who: int, money: Any, what: str) -> None:
        bodies = {
            "top-ups": {"method": "cash"},
            "withdrawals": {"method": "cash", "reason": "x"},
            "charges": {"kind": "usage", "description": "x"},
            "reservations": {"description": "x"},
            "adjustments": {"kind": "goodwill", "reason": "x"},
        }
        if what == "adjustments" and money == "-1":
            return
        path = f"/v1/organizations/{self.wallet(who).id}/account/{what}"
        response = self.send("POST", path, {**bodies[what], "amount": money})
        assert response.status_code == 422, (money, response.json)
        self.count("bad money")
        self.nothing_changed()

    def past(self, pick: int, *kinds: str) -> tuple[Wallet, Done] | None:
        transactions = [
            (wallet, done)
            for wallet in self.oracle.wallets.values()
            for done in reversed(wallet.done)
            if done.id != NOW and (not kinds or done.kind in kinds)
        ]
        return transactions[pick % len(transactions)] if transactions else None

    @rule(pick=PICK, amount=PART)
    def refund(self, pick: int, amount: Any) -> None:
        if pick < 7:
            self.need_charge(pick)
        if not self.past(pick, "charge"):
            return
        wallet, charge = self.past(pick, "charge")
        left = charge.amount - charge.undone
        if amount is not None:
            amount = max(1, left // 2) if amount == "half" else self.amount(wallet, amount, left)
        body = {"transaction_id": charge.id, "reason": "slow"} | (
            {} if amount is None else {"amount": written(amount, "SGD")}
        )
        self.account(wallet, "refunds", body, lambda: self.oracle.refund(wallet, charge, amount))

    @precondition(lambda self: self.past(0))
    @rule(pick=st.integers(0, 20), times=st.sampled_from([1, 1, 2]))
    def reverse(self, pick: int, times: int) -> None:
        reversible = (
            self.past(pick, "top_up", "withdrawal", "payment", "adjustment") if pick % 4 else None
        )
        wallet, done = reversible or self.past(pick)
        for _ in range(times):
            wallet = self.oracle.wallets[wallet.id]
            done = next(item for item in wallet.done if item.id == done.id)
            self.account(
                wallet,
                f"transactions/{done.id}/reverse",
                {"reason": "bounced"},
                lambda wallet=wallet, done=done: self.oracle.reverse(wallet, done),
            )
            self.seen = self.stored_rows()
