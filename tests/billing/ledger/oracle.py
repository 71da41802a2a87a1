"""What the ledger must return, and hold afterwards.

Plain numbers in memory, written from the contract and not from the code under test, of which
nothing is imported. Amounts are in millionths.
"""

from datetime import UTC, date, datetime, time, timedelta

from tests.billing.ledger.invoice_oracle import InvoiceOracle
from tests.billing.ledger.posting_oracle import Refused
from tests.billing.ledger.wallets import NOW, ZONE, Bill, Done, Effect, Wallet, half_even

__all__ = ["Oracle", "Refused"]


class Oracle(InvoiceOracle):
    """The whole oracle: also refunds, reversals, closing and automatic top-ups."""

    def refund(self, wallet: Wallet, charge: Done, amount: int | None) -> Done:
        self.check_status(wallet)
        left = charge.amount - charge.undone
        amount = left if amount is None else amount
        if not 0 < amount <= left:
            raise Refused("refund_exceeds_charge")
        before, after = (
            half_even(charge.cost * part, charge.amount)
            for part in (charge.undone, charge.undone + amount)
        )
        done = Done(NOW, "refund", amount, self.now, cost=before - after)
        if charge.bill is not None:
            self.credit(wallet, charge.bill, amount, done)
        else:
            self.post(wallet, done, self._credit_customer(wallet, amount))
        charge.undone += amount
        return done

    def reverse(self, wallet: Wallet, done: Done) -> Done:
        if done.kind not in ("top_up", "withdrawal", "adjustment", "payment"):
            raise Refused("not_reversible")
        self.check_status(wallet)
        if done.reversed:
            raise Refused("already_reversed")
        if done.kind == "withdrawal" and done.method == "issue":
            self.check_method(wallet, "issue", -done.amount)
        if done.payment is not None:
            done.payment.status = "reversed"
        effects = self._reversal(wallet, done)
        done.reversed = True
        if done.kind == "top_up":
            left = [each for each in wallet.done if each.kind == "top_up" and not each.reversed]
            wallet.last_top_up = left[-1].amount if left else None
        return self.post(wallet, Done(NOW, "reversal", -done.amount, self.now), effects)

    def _reversal(self, wallet: Wallet, done: Done) -> list[Effect]:
        """Invoices it paid are due again; a prepaid customer has none, so its wallet owes it."""
        effects: list[Effect] = []
        for bucket, change, bill in done.effects:
            if bucket == "pay":
                continue
            if wallet.mode == "prepaid" or bucket not in ("surplus", "prepaid"):
                effects += self._mirror(wallet, bucket, change, bill)
            elif change > 0:
                effects += self._take_back(wallet, done, change)
            elif bucket == "surplus":
                for source, part in done.taken:
                    effects.append(("surplus", part, None if source.is_reversed else source))
            else:
                effects.append(("surplus", -change, None))
        if done.source is not None:
            done.source.is_reversed = True
        return effects

    def _take_back(self, wallet: Wallet, done: Done, left: int) -> list[Effect]:
        effects: list[Effect] = []
        moved = left if done.source is None else done.source.moved
        later = [
            source
            for source in wallet.sources
            if source.kind in ("mode_change", "reversal") and source.number > done.number
        ]
        for source in [done.source, *later]:
            if source is None:
                continue
            most = left if source is done.source else min(left, moved)
            taken = min(source.left, most)
            for bill in wallet.bills:
                part = min(bill.shares.get(source, 0), most - taken)
                if part:
                    effects.append(("pay", -part, (bill, source)))
                    taken += part
            if taken:
                effects.append(("surplus", -taken, source))
            left -= taken
            moved -= 0 if source is done.source else taken
        return [*effects, ("unbilled", left, None)]

    def _mirror(self, wallet: Wallet, bucket: str, change: int, bill: Bill | None) -> list[Effect]:
        gain = change if bucket in ("prepaid", "surplus") else -change
        if wallet.mode == "prepaid":
            return [("prepaid", -gain, None)]
        if gain > 0:  # taken back from where it went
            if bill is not None:
                bill.credited -= gain
            where = "surplus" if bucket == "prepaid" else bucket
            return [(where, -gain if where == "surplus" else gain, bill)]
        if bucket == "unbilled":  # less of it may be left by now
            return self._credit_customer(wallet, -gain)
        return [("surplus", -gain, None)]

    def close(self, wallet: Wallet) -> bool:
        """Whether it is closed now. Due reservations expire either way."""
        if wallet.status != "closed":
            self.expire(wallet)
            if any((wallet.prepaid, wallet.surplus, wallet.unbilled, wallet.invoiced, wallet.held)):
                return False
            wallet.status = "closed"
        return True

    def reopen(self, wallet: Wallet, frozen: bool) -> None:
        before, wallet.status = wallet.status, "frozen" if frozen else "open"
        if before != wallet.status:
            self.order_top_up(wallet)

    def auto_top_up(self, wallet: Wallet) -> Done | None:
        """What the job does with an order: one attempt per day in the account's time zone."""
        if wallet.order_due is None or wallet.order_due > self.now:
            return None
        today, done = self.now.astimezone(ZONE).date(), None
        if wallet.auto_on is not None and wallet.auto_on >= today:
            self._postpone(wallet, today)
            return None
        if not self.needs_top_up(wallet):
            wallet.order_due = None
            return None
        wallet.auto_on = today
        try:
            self.check_method(wallet, "issue", wallet.auto["amount"])
            done = self.top_up(wallet, wallet.auto["amount"], "issue")
        except Refused:
            done = None
        self._postpone(wallet, today)
        return done

    def _postpone(self, wallet: Wallet, today: date) -> None:
        tomorrow = datetime.combine(today + timedelta(days=1), time(), ZONE).astimezone(UTC)
        wallet.order_due = tomorrow if self.needs_top_up(wallet) else None
