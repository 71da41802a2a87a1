"""The oracle for posting, top-ups, charges, usage, reservations, adjustments and terms."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.billing.ledger.wallets import (
    NOW,
    OWN,
    PLACES,
    Bill,
    Done,
    Effect,
    Held,
    Source,
    Wallet,
    half_even,
    next_month,
)


class Refused(Exception):
    """The ledger must refuse with this code and change nothing."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class PostingOracle:
    """What the customers of one provider may do.

    Each command raises Refused or changes the wallets; the caller takes over the ids from the
    response, and sets ``now``.
    """

    def __init__(self, now: datetime, individual: bool) -> None:
        self.now, self.individual = now, individual
        self.wallets: dict[str, Wallet] = {}
        self.own = dict.fromkeys(PLACES, 0)
        self.records: dict[str, tuple[Any, ...]] = {}

    # Checks

    def check_status(self, wallet: Wallet, *, spending: bool = False) -> None:
        if wallet.status == "closed":
            raise Refused("account_closed")
        if spending and wallet.status == "frozen":
            raise Refused("account_frozen")

    def check_method(self, wallet: Wallet, method: str, amount: int) -> None:
        if method == "card":
            raise Refused("payment_method_missing")
        if method == "issue" and amount > self.provider_money(wallet.currency)[2]:
            raise Refused("provider_credits_insufficient")

    def provider_money(self, currency: str) -> tuple[int, int, int]:
        """The provider's balance, its customers' credit, and what it may still issue."""
        theirs = [wallet for wallet in self.wallets.values() if wallet.currency == currency]
        balance = self.own[currency] + sum(wallet.on_wallet for wallet in theirs)
        customers = sum(max(0, wallet.net) for wallet in theirs)
        return balance, customers, balance - customers

    def check_credit(self, wallet: Wallet, amount: int, kind: str = "usable") -> None:
        """Expire reservations only if that is needed; a refusal leaves them unexpired."""
        have = wallet.usable(self.now) if kind == "usable" else wallet.withdrawable
        if amount > have:
            self.expire(wallet)
            have = wallet.usable(self.now) if kind == "usable" else wallet.withdrawable
        if amount > have:
            raise Refused("insufficient_credits")

    # Posting

    def post(
        self,
        wallet: Wallet,
        done: Done,
        effects: Sequence[Effect] = (),
        held: int = 0,
        order: bool = True,
    ) -> Done:
        done.number = len(wallet.done)
        for bucket, change, about in effects:
            if bucket == "pay":
                self._pay(wallet, done, change, *about)
                continue
            setattr(wallet, bucket, getattr(wallet, bucket) + change)
            if bucket == "surplus":
                done.taken += self._use(wallet, done, change, about)
        if done.kind == "mode_change":
            for source, part in done.taken:
                source.moved += part
        wallet.held += held
        wallet.on_wallet -= done.cost
        if not wallet.fits(self.now):
            raise Refused("amount_too_large")
        done.effects = [effect for effect in effects if effect[1]]
        wallet.done.append(done)
        wallet.past.append((self.now, wallet.unbilled))
        if order:
            self.order_top_up(wallet)
        return done

    def _use(
        self, wallet: Wallet, done: Done, change: int, source: Any
    ) -> list[tuple[Source, int]]:
        """Add to the transaction's own source, or take from the source or the oldest ones."""
        if change > 0 and source is not None:
            source.left += change
            return []
        if change > 0:
            if done.source is None:
                done.source = Source(done.kind, done.number)
                wallet.sources.append(done.source)
            done.source.amount += change
            done.source.left += change
            return []
        taken, left = [], -change
        for each in wallet.sources if source is None else [self._named(done, source)]:
            part = min(left, each.left)
            if part:
                each.left -= part
                left -= part
                taken.append((each, part))
        assert not left, "the surplus has no source"
        return taken

    def _pay(self, wallet: Wallet, done: Done, amount: int, bill: Bill, source: Any) -> None:
        wallet.surplus -= amount
        wallet.invoiced -= amount
        if amount > 0:
            for each, part in self._use(wallet, done, -amount, source):
                bill.shares[each] = bill.shares.pop(each, 0) + part
            return
        left = -amount
        for each in [*reversed(bill.shares)] if source is None else [source]:
            part = min(left, bill.shares[each])
            bill.shares[each] -= part
            each.left += part
            left -= part
        assert not left, "more is taken back than was paid"

    def _named(self, done: Done, source: Any) -> Source:
        named = done.source if source == OWN else source
        assert isinstance(named, Source)
        return named

    def order_top_up(self, wallet: Wallet) -> None:
        if wallet.order_due is None and self.needs_top_up(wallet):
            wallet.order_due = self.now

    def needs_top_up(self, wallet: Wallet) -> bool:
        auto, at = wallet.auto, wallet.auto["threshold"]
        if at is None and wallet.last_top_up is not None:
            at = half_even(wallet.last_top_up * 20, 100)
        return bool(
            auto["enabled"]
            and wallet.status == "open"
            and at is not None
            and wallet.usable(self.now) <= at
        )

    def top_up(
        self, wallet: Wallet, amount: int, method: str, bills: Sequence[Bill] | None = None
    ) -> Done:
        self.check_status(wallet)
        if bills is not None and wallet.mode == "prepaid":
            raise Refused("postpaid_only")
        if any(bill.status != "awaiting_payment" for bill in bills or ()):
            raise Refused("invoice_not_payable")
        self.check_method(wallet, method, amount)
        wallet.last_top_up = amount
        return self.post(
            wallet,
            Done(NOW, "top_up", amount, self.now, method=method),
            [(wallet.deposit_bucket, amount, None), *self._settle_at_once(wallet, amount, bills)],
        )

    def _settle_at_once(
        self, wallet: Wallet, amount: int, bills: Sequence[Bill] | None
    ) -> list[Effect]:
        return self.settle(wallet, amount, OWN, bills) if wallet.mode == "postpaid" else []

    def withdraw(self, wallet: Wallet, amount: int, method: str) -> Done:
        self.check_status(wallet)
        self.check_method(wallet, method if method == "card" else "", amount)
        self.check_credit(wallet, amount, "withdrawable")
        return self.post(
            wallet,
            Done(NOW, "withdrawal", -amount, self.now, method=method),
            [(wallet.deposit_bucket, -amount, None)],
        )

    def charge(
        self, wallet: Wallet, amount: int, cost: int, kind: str, external: bool = False
    ) -> Done:
        self.check_status(wallet, spending=True)
        if external:
            return self.post(wallet, Done(NOW, "external", 0, self.now))
        self.check_credit(wallet, amount)
        if self.individual and kind != "usage" and wallet.mode == "postpaid":
            bill = Bill(NOW, amount)
            wallet.bills.append(bill)
            done = Done(NOW, "charge", amount, self.now, cost=cost, billable=True, bill=bill)
            return self.post(
                wallet,
                done,
                [("invoiced", amount, None), *self.settle(wallet, wallet.surplus, bills=[bill])],
            )
        return self.spend(wallet, amount, cost)

    def spend(self, wallet: Wallet, amount: int, cost: int, held: int = 0) -> Done:
        postpaid = wallet.mode == "postpaid"
        done = Done(NOW, "charge", amount, self.now, cost=cost, billable=postpaid)
        return self.post(
            wallet, done, [(wallet.charge_bucket, amount if postpaid else -amount, None)], held=held
        )

    def record(self, record: dict[str, Any], always: bool) -> str:
        """One usage record; due reservations are expired only if that is needed."""
        wallet = self.wallets.get(record["organization_id"])
        content = (
            record["organization_id"],
            record["amount"],
            record["at"],
            record["description"],
            record["cost"],
        )
        if record["id"] in self.records:
            return "duplicate" if self.records[record["id"]] == content else "record_id_reused"
        if wallet is None:
            return "organization_not_found"
        if wallet.status != "open":
            return f"account_{wallet.status}"
        if not always and record["amount"] > wallet.usable(self.now):
            self.expire(wallet)
            if record["amount"] > wallet.usable(self.now):
                return "insufficient_credits"
        try:
            self.spend(wallet, record["amount"], record["cost"])
        except Refused as refused:
            wallet.prepaid += record["amount"] * (wallet.mode == "prepaid")
            wallet.unbilled -= record["amount"] * (wallet.mode == "postpaid")
            wallet.on_wallet += record["cost"]
            return refused.code
        self.records[record["id"]] = content
        return "accepted"

    def reserve(self, wallet: Wallet, amount: int, expires_in: int) -> Held:
        self.check_status(wallet, spending=True)
        self.check_credit(wallet, amount)
        held = Held(NOW, amount, self.now + timedelta(seconds=expires_in))
        wallet.reservations.append(held)
        self.post(wallet, Done(NOW, "reservation", 0, self.now), held=amount)
        return held

    def _holds(self, wallet: Wallet, held: Held) -> None:
        self.check_status(wallet)
        if held.status in ("captured", "released"):
            raise Refused("reservation_settled")
        if held.status == "expired" or self.now >= held.expires_at:
            raise Refused("reservation_expired")

    def capture(
        self, wallet: Wallet, held: Held, amount: int | None, final: bool, cost: int
    ) -> None:
        self._holds(wallet, held)
        left = held.left
        amount = left if amount is None else amount
        if amount > left:
            raise Refused("capture_exceeds_reservation")
        freed = left if final else amount
        self.spend(wallet, amount, cost, held=-freed)
        held.captured += amount
        held.released += freed - amount
        if not held.left:
            held.status = "captured"

    def release(self, wallet: Wallet, held: Held) -> None:
        self._holds(wallet, held)
        self._release_rest(wallet, held, "released")

    def expire(self, wallet: Wallet) -> None:
        for held in wallet.reservations:
            if held.status == "open" and self.now >= held.expires_at:
                self._release_rest(wallet, held, "expired")

    def _release_rest(self, wallet: Wallet, held: Held, status: str) -> None:
        left = held.left
        held.released, held.status = held.released + left, status
        self.post(wallet, Done(NOW, status, 0, self.now), held=-left)

    def adjust(self, wallet: Wallet, amount: int, kind: str) -> Done:
        self.check_status(wallet)
        if kind == "write_off":
            if amount > max(0, -wallet.net):
                raise Refused("write_off_exceeds_debt")
            if -amount > wallet.withdrawable:
                raise Refused("insufficient_credits")
        effects: list[Effect] = []
        if amount > 0:
            rest = amount
            for bill in wallet.bills if wallet.mode == "postpaid" else ():
                part = min(rest, bill.open)
                effects.append(("invoiced", -part, bill))
                bill.credited += part
                rest -= part
            effects += self._credit_customer(wallet, rest)
        else:
            part = min(-amount, wallet.surplus)
            sign = 1 if wallet.mode == "postpaid" else -1
            effects = [
                ("surplus", -part, None),
                (wallet.charge_bucket, sign * (-amount - part), None),
            ]
        return self.post(wallet, Done(NOW, "adjustment", amount, self.now), effects)

    def _credit_customer(self, wallet: Wallet, amount: int) -> list[Effect]:
        cleared = min(amount, wallet.unbilled)
        return [("unbilled", -cleared, None), (wallet.deposit_bucket, amount - cleared, None)]

    # Terms

    def change(self, wallet: Wallet, patch: dict[str, Any]) -> None:
        self.check_status(wallet)
        self.expire_credit_limit(wallet)
        before = wallet.mode, wallet.limit_at(self.now)
        if "credit_limit" in patch or "credit_limit_expires_at" in patch:
            running = wallet.ends if wallet.ends and self.now < wallet.ends else None
            limit, ends = wallet.limit_at(self.now), patch.get("credit_limit_expires_at", running)
            limit = patch.get("credit_limit", limit)
            if ends is not None and ends <= self.now:
                raise Refused("past")
            if ends is None:
                wallet.limit, wallet.temporary = limit, None
            else:
                wallet.temporary = limit
            wallet.ends = ends
        self._change_mode(wallet, patch.get("payment_mode", wallet.mode))
        is_changed = (wallet.mode, wallet.limit_at(self.now)) != before
        if is_changed and wallet.mode == "postpaid" and not wallet.limit_at(self.now):
            raise Refused("credit_limit_required")
        wallet.auto |= patch.get("auto_top_up", {})
        if "auto_top_up" in patch and wallet.auto["enabled"] and wallet.mode == "postpaid":
            raise Refused("prepaid_only")
        if not wallet.fits(self.now):
            raise Refused("amount_too_large")
        self.order_top_up(wallet)

    def _change_mode(self, wallet: Wallet, mode: str) -> None:
        if mode == wallet.mode:
            return
        if mode == "prepaid" and (wallet.unbilled or wallet.invoiced):
            raise Refused("open_amounts")
        money = wallet.prepaid + wallet.surplus
        if mode == "postpaid":
            effects = [
                ("prepaid", -money, None),
                ("surplus" if money > 0 else "unbilled", abs(money), None),
            ]
        else:
            effects = [("surplus", -money, None), ("prepaid", money, None)]
        wallet.mode = mode
        if mode == "postpaid":
            wallet.auto["enabled"] = False
        wallet.month_ends = next_month(self.now) if mode == "postpaid" else None
        if money:
            self.post(wallet, Done(NOW, "mode_change", 0, self.now), effects, order=False)

    def expire_credit_limit(self, wallet: Wallet) -> None:
        if wallet.ends is not None and wallet.temporary is not None and self.now >= wallet.ends:
            wallet.temporary = wallet.ends = None
            self.order_top_up(wallet)
