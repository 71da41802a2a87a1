"""What a ledger must response, and hold afterwards: plain numbers in memory, written from the
contract and not from the code that is tested, of which nothing is imported. Amounts in millionths.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

MAX_AMOUNT = 10**18 - 1
PLACES = {"SGD": 2, "JPY": 0}
ZONE = timezone(timedelta(hours=8))  # Singapore has no summer time
EDITS = 5
NOW = "now"


class Refused(Exception):
    """The ledger must say no, with this code, and change nothing."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def written(amount: int, currency: str) -> str:
    """An amount as it crosses the door."""
    whole, part = divmod(abs(amount), 10**6)
    digits = f"{part:06d}"
    while len(digits) > PLACES[currency] and digits.endswith("0"):
        digits = digits[:-1]
    return ("-" if amount < 0 else "") + str(whole) + (f".{digits}" if digits else "")


def half_even(amount: int, by: int) -> int:
    whole, rest = amount // by, amount % by
    if 2 * rest == by:
        return whole + whole % 2
    return whole + (2 * rest > by)


def next_month(moment: datetime) -> datetime:
    here = moment.astimezone(ZONE)
    first = date(here.year + here.month // 12, here.month % 12 + 1, 1)
    return datetime.combine(first, time(), ZONE).astimezone(UTC)


def this_month(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(ZONE).date().replace(day=1), time(), ZONE).astimezone(
        UTC
    )


@dataclass
class Held:
    """A reservation."""

    id: str
    amount: int
    expires_at: datetime
    captured: int = 0
    released: int = 0
    status: str = "open"

    @property
    def left(self) -> int:
        return self.amount - self.captured - self.released


@dataclass
class Bill:
    """An invoice; ``shares``: what each payment has paid of it, oldest first, None what a surplus
    paid by itself."""

    id: str
    total: int
    credited: int = 0
    shares: dict[str | None, int] = field(default_factory=dict)
    void: bool = False

    @property
    def paid(self) -> int:
        return sum(self.shares.values())

    @property
    def open(self) -> int:
        return 0 if self.void else self.total - self.paid - self.credited

    @property
    def status(self) -> str:
        return "void" if self.void else "awaiting_payment" if self.open else "paid"


# A change of a bucket, and the bill it is about.
Effect = tuple[str, int, Bill | None]


@dataclass
class Payment:
    """Money that came for invoices."""

    id: str
    amount: int
    edits: int = 0
    status: str = "received"


@dataclass
class Done:
    """A transaction. ``effects``: what it did, as (bucket, change, bill); ``bill``: on which a
    charge stands, where it can stand on one (``billable``), since ``at``."""

    id: str
    kind: str
    amount: int
    at: datetime
    cost: int = 0
    method: str = ""
    effects: list[Effect] = field(default_factory=list)
    billable: bool = False
    bill: Bill | None = None
    undone: int = 0
    reversed: bool = False
    payment: Payment | None = None


@dataclass
class Wallet:
    """An account of a customer."""

    id: str
    currency: str
    mode: str
    limit: int
    month_ends: datetime | None
    status: str = "open"
    temporary: int | None = None
    ends: datetime | None = None
    prepaid: int = 0
    surplus: int = 0
    unbilled: int = 0
    invoiced: int = 0
    held: int = 0
    on_wallet: int = 0
    last_top_up: int | None = None
    auto: dict[str, Any] = field(
        default_factory=lambda: {"enabled": False, "threshold": None, "amount": None}
    )
    auto_on: date | None = None
    order_due: datetime | None = None
    invoiced_at: datetime | None = None
    reservations: list[Held] = field(default_factory=list)
    bills: list[Bill] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    past: list[tuple[datetime, int]] = field(default_factory=list)

    def limit_at(self, now: datetime) -> int:
        return (
            self.temporary
            if self.temporary is not None and self.ends and now < self.ends
            else self.limit
        )

    @property
    def due(self) -> int:
        return self.surplus - self.invoiced if self.mode == "postpaid" else 0

    @property
    def balance(self) -> int:
        return self.prepaid - self.held if self.mode == "prepaid" else self.due - self.unbilled

    def usable(self, now: datetime) -> int:
        if self.mode == "prepaid":
            return self.limit_at(now) + self.prepaid - self.held
        return self.limit_at(now) + max(0, self.due) - self.unbilled - self.held

    @property
    def withdrawable(self) -> int:
        return max(0, self.balance) if self.mode == "prepaid" else self.surplus

    @property
    def net(self) -> int:
        return self.prepaid + self.surplus - self.unbilled - self.invoiced

    @property
    def spending(self) -> str:
        return "unbilled" if self.mode == "postpaid" else "prepaid"

    @property
    def deposit_bucket(self) -> str:
        return "surplus" if self.mode == "postpaid" else "prepaid"

    def fits(self, now: datetime) -> bool:
        figures = (
            self.prepaid,
            self.surplus,
            self.unbilled,
            self.invoiced,
            self.held,
            self.net,
            self.balance,
            self.usable(now),
            self.usable(now) + self.held,
            self.due,
            self.limit_at(now),
        )
        return all(abs(figure) <= MAX_AMOUNT for figure in figures)

    def shown(self, now: datetime) -> dict[str, Any]:
        """The figures as the contract has them."""
        prepaid = self.mode == "prepaid"
        amounts = {
            "usable_credits": self.usable(now),
            "balance": self.balance,
            "credit_limit": self.limit_at(now),
            "reserved_credits": self.held,
            "expecting_invoice": 0 if prepaid else -self.unbilled,
            "amount_due": self.due,
            "current_balance": self.balance,
        }
        return {
            "payment_mode": self.mode,
            "status": self.status,
            **{name: written(amount, self.currency) for name, amount in amounts.items()},
        }


class Oracle:
    """What one provider's customers may do. Each command raises Refused, or does its part to the
    wallets; ids are taken over from the response by the caller. ``now`` is set from outside."""

    def __init__(self, now: datetime, individual: bool) -> None:
        self.now, self.individual = now, individual
        self.wallets: dict[str, Wallet] = {}
        self.own = dict.fromkeys(PLACES, 0)
        self.records: dict[str, tuple[Any, ...]] = {}

    # What is asked before anything else

    def take(self, wallet: Wallet, *, spending: bool = False) -> None:
        if wallet.status == "closed":
            raise Refused("account_closed")
        if spending and wallet.status == "frozen":
            raise Refused("account_frozen")

    def check_method(self, wallet: Wallet, method: str, amount: int) -> None:
        if method == "card":
            raise Refused("payment_method_missing")
        if method == "issue" and amount > self.purse(wallet.currency)[2]:
            raise Refused("provider_credits_insufficient")

    def purse(self, currency: str) -> tuple[int, int, int]:
        """The provider's balance, its customers' positive money, and what it may still issue."""
        theirs = [wallet for wallet in self.wallets.values() if wallet.currency == currency]
        balance = self.own[currency] + sum(wallet.on_wallet for wallet in theirs)
        customers = sum(max(0, wallet.net) for wallet in theirs)
        return balance, customers, balance - customers

    def cover(self, wallet: Wallet, amount: int, there: str = "usable") -> None:
        """Expire what is due only if it is needed; too little is refused, and then nothing has
        expired."""
        have = wallet.usable(self.now) if there == "usable" else wallet.withdrawable
        if amount > have:
            self.expire(wallet)
            have = wallet.usable(self.now) if there == "usable" else wallet.withdrawable
        if amount > have:
            raise Refused("insufficient_credits")

    # What is done

    def post(
        self,
        wallet: Wallet,
        done: Done,
        effects: Sequence[Effect] = (),
        held: int = 0,
        watched: bool = True,
    ) -> Done:
        for bucket, change, _ in effects:
            setattr(wallet, bucket, getattr(wallet, bucket) + change)
        wallet.held += held
        wallet.on_wallet -= done.cost
        if not wallet.fits(self.now):
            raise Refused("amount_too_large")
        done.effects = [effect for effect in effects if effect[1]]
        wallet.done.append(done)
        wallet.past.append((self.now, wallet.unbilled))
        if watched:
            self.watch(wallet)
        return done

    def watch(self, wallet: Wallet) -> None:
        if wallet.order_due is None and self.wants_top_up(wallet):
            wallet.order_due = self.now

    def wants_top_up(self, wallet: Wallet) -> bool:
        auto, at = wallet.auto, wallet.auto["threshold"]
        if at is None and wallet.last_top_up is not None:
            at = half_even(wallet.last_top_up * 20, 100)
        return bool(
            auto["enabled"]
            and wallet.status == "open"
            and at is not None
            and wallet.usable(self.now) <= at
        )

    def top_up(self, wallet: Wallet, amount: int, method: str) -> Done:
        self.take(wallet)
        self.check_method(wallet, method, amount)
        wallet.last_top_up = amount
        return self.post(
            wallet,
            Done(NOW, "top_up", amount, self.now, method=method),
            [(wallet.deposit_bucket, amount, None)],
        )

    def withdraw(self, wallet: Wallet, amount: int, method: str) -> Done:
        self.take(wallet)
        self.check_method(wallet, method if method == "card" else "", amount)
        self.cover(wallet, amount, "withdrawable")
        return self.post(
            wallet,
            Done(NOW, "withdrawal", -amount, self.now, method=method),
            [(wallet.deposit_bucket, -amount, None)],
        )

    def charge(
        self, wallet: Wallet, amount: int, cost: int, kind: str, external: bool = False
    ) -> Done:
        self.take(wallet, spending=True)
        if external:
            return self.post(wallet, Done(NOW, "external", 0, self.now))
        self.cover(wallet, amount)
        if self.individual and kind != "usage" and wallet.mode == "postpaid":
            bill = Bill(NOW, amount)
            wallet.bills.append(bill)
            done = Done(NOW, "charge", amount, self.now, cost=cost, billable=True, bill=bill)
            return self.post(
                wallet,
                done,
                [("invoiced", amount, None), *self.settle(wallet, wallet.surplus, None)],
            )
        return self.spend(wallet, amount, cost)

    def spend(self, wallet: Wallet, amount: int, cost: int, held: int = 0) -> Done:
        postpaid = wallet.mode == "postpaid"
        done = Done(NOW, "charge", amount, self.now, cost=cost, billable=postpaid)
        return self.post(
            wallet, done, [(wallet.spending, amount if postpaid else -amount, None)], held=held
        )

    def record(self, record: dict[str, Any], always: bool) -> str:
        """One usage record; what is due has expired before the first of its batch."""
        wallet = self.wallets.get(record["organization_id"])
        published = (
            record["organization_id"],
            record["amount"],
            record["at"],
            record["description"],
            record["cost"],
        )
        if record["id"] in self.records:
            return "duplicate" if self.records[record["id"]] == published else "record_id_reused"
        if wallet is None:
            return "organization_not_found"
        if wallet.status != "open":
            return f"account_{wallet.status}"
        if not always and record["amount"] > wallet.usable(self.now):
            return "insufficient_credits"
        try:
            self.spend(wallet, record["amount"], record["cost"])
        except Refused as refused:
            wallet.prepaid += record["amount"] * (wallet.mode == "prepaid")
            wallet.unbilled -= record["amount"] * (wallet.mode == "postpaid")
            wallet.on_wallet += record["cost"]
            return refused.code
        self.records[record["id"]] = published
        return "accepted"

    def reserve(self, wallet: Wallet, amount: int, expires_in: int) -> Held:
        self.take(wallet, spending=True)
        self.cover(wallet, amount)
        held = Held(NOW, amount, self.now + timedelta(seconds=expires_in))
        wallet.reservations.append(held)
        self.post(wallet, Done(NOW, "reservation", 0, self.now), held=amount)
        return held

    def _holds(self, wallet: Wallet, held: Held) -> None:
        self.take(wallet)
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
        self._let_go(wallet, held, "released")

    def expire(self, wallet: Wallet) -> None:
        for held in wallet.reservations:
            if held.status == "open" and self.now >= held.expires_at:
                self._let_go(wallet, held, "expired")

    def _let_go(self, wallet: Wallet, held: Held, status: str) -> None:
        left = held.left
        held.released, held.status = held.released + left, status
        self.post(wallet, Done(NOW, status, 0, self.now), held=-left)

    def adjust(self, wallet: Wallet, amount: int) -> Done:
        self.take(wallet)
        effects: list[Effect] = []
        if amount > 0:
            rest = amount
            for bill in wallet.bills if wallet.mode == "postpaid" else ():
                part = min(rest, bill.open)
                effects.append(("invoiced", -part, bill))
                bill.credited += part
                rest -= part
            effects += self._in_favour(wallet, rest)
        else:
            part = min(-amount, wallet.surplus)
            sign = 1 if wallet.mode == "postpaid" else -1
            effects = [("surplus", -part, None), (wallet.spending, sign * (-amount - part), None)]
        return self.post(wallet, Done(NOW, "adjustment", amount, self.now), effects)

    def _in_favour(self, wallet: Wallet, amount: int) -> list[Effect]:
        cleared = min(amount, wallet.unbilled)
        return [("unbilled", -cleared, None), (wallet.deposit_bucket, amount - cleared, None)]

    # Terms

    def change(self, wallet: Wallet, patch: dict[str, Any]) -> None:
        self.take(wallet)
        self.expire_credit_limit(wallet)
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
        wallet.auto |= patch.get("auto_top_up", {})
        if not wallet.fits(self.now):
            raise Refused("amount_too_large")
        self.watch(wallet)

    def _change_mode(self, wallet: Wallet, mode: str) -> None:
        if mode == wallet.mode:
            return
        if mode == "postpaid" and not wallet.limit_at(self.now):
            raise Refused("credit_limit_required")
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
        wallet.month_ends = next_month(self.now) if mode == "postpaid" else None
        if money:
            self.post(wallet, Done(NOW, "mode_change", 0, self.now), effects, watched=False)

    def expire_credit_limit(self, wallet: Wallet) -> None:
        if wallet.ends is not None and wallet.temporary is not None and self.now >= wallet.ends:
            wallet.temporary = wallet.ends = None
            self.watch(wallet)

    # Invoices and payments

    def settle(
        self, wallet: Wallet, available: int, payer: str | None, bills: Sequence[Bill] | None = None
    ) -> list[Effect]:
        """Pay these bills, or the oldest first, until nothing is left to pay with."""
        effects: list[Effect] = []
        for bill in wallet.bills if bills is None else bills:
            part = min(available, bill.open)
            if part:
                bill.shares[payer] = bill.shares.get(payer, 0) + part
                effects += [("surplus", -part, None), ("invoiced", -part, bill)]
                available -= part
        return effects

    def invoice(
        self, wallet: Wallet, before: datetime | None = None, total: int | None = None
    ) -> Bill:
        """All that is unbilled, or what was at the turn of the month."""
        if before is None:
            self.take(wallet)
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
            [*effects, *self.settle(wallet, wallet.surplus, None)],
        )
        if before is None:
            wallet.past = []
        return bill

    def end_month(self, wallet: Wallet) -> Bill | None:
        """What is unbilled from the months that are over."""
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
        self.take(wallet)
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
        """A credit note: off what is open, and where that was paid, back to the customer."""
        self.take(wallet)
        left = bill.total - bill.credited
        amount = left if amount is None else amount
        if bill.void:
            raise Refused("invoice_void")
        if not 0 < amount <= left:
            raise Refused("credit_exceeds_invoice")
        back = amount - min(amount, bill.open)
        rest = back
        newest_first = [None, *(payment.id for payment in reversed(wallet.payments))]
        for payer in newest_first:
            part = min(rest, bill.shares.get(payer, 0))
            if part:
                bill.shares[payer] -= part
                rest -= part
        bill.credited += amount
        effects = [("invoiced", back - amount, bill), (wallet.deposit_bucket, back, None)]
        return self.post(wallet, done or Done(NOW, "credit_note", amount, self.now), effects)

    def pay(
        self, wallet: Wallet, amount: int, method: str, bills: Sequence[Bill] | None
    ) -> Payment:
        self.take(wallet)
        if wallet.mode == "prepaid":
            raise Refused("account_prepaid")
        if any(bill.status != "awaiting_payment" for bill in bills or ()):
            raise Refused("invoice_not_payable")
        self.check_method(wallet, method, amount)
        payment = Payment(NOW, amount)
        done = Done(NOW, "payment", amount, self.now, method=method, payment=payment)
        wallet.payments.append(payment)
        self.post(
            wallet, done, [("surplus", amount, None), *self.settle(wallet, amount, NOW, bills)]
        )
        return payment

    def assign(self, wallet: Wallet, payment: Payment, bills: Sequence[Bill]) -> None:
        self.take(wallet)
        if wallet.mode == "prepaid":
            raise Refused("account_prepaid")
        if payment.status != "received":
            raise Refused("payment_reversed")
        before = {bill.id: bill.shares.get(payment.id, 0) for bill in wallet.bills}
        if any(bill.status != "awaiting_payment" and not before[bill.id] for bill in bills):
            raise Refused("invoice_not_payable")
        freed, has = wallet.surplus, sum(before.values())
        available = min(payment.amount, has + freed)
        after = dict.fromkeys(before, 0)
        for bill in bills:
            after[bill.id] = min(available, bill.open + before[bill.id])
            available -= after[bill.id]
        if before == after:
            return
        if payment.edits >= EDITS:
            raise Refused("payment_edits_exhausted")
        payment.edits += 1
        for bill in wallet.bills:
            bill.shares[payment.id] = after[bill.id]
        moved = sum(after.values()) - has
        self.post(
            wallet,
            Done(NOW, "reassignment", 0, self.now),
            [("surplus", -moved, None), ("invoiced", -moved, None)],
        )

    # Giving and taking back

    def refund(self, wallet: Wallet, charge: Done, amount: int | None) -> Done:
        self.take(wallet)
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
            self.post(wallet, done, self._in_favour(wallet, amount))
        charge.undone += amount
        return done

    def reverse(self, wallet: Wallet, done: Done) -> Done:
        if done.kind not in ("top_up", "withdrawal", "adjustment", "payment"):
            raise Refused("not_reversible")
        self.take(wallet)
        if done.reversed:
            raise Refused("already_reversed")
        if done.kind == "withdrawal" and done.method == "issue":
            self.check_method(wallet, "issue", -done.amount)
        if done.payment is not None:
            effects = self._mirror_payment(wallet, done.amount, done.payment)
        else:
            effects = [
                effect
                for bucket, change, bill in done.effects
                for effect in self._mirror(wallet, bucket, change, bill)
            ]
        short = -wallet.surplus - sum(
            change for bucket, change, _ in effects if bucket == "surplus"
        )
        if short > 0:  # used since, so it is owed again
            effects += [("surplus", short, None), ("unbilled", short, None)]
        done.reversed = True
        return self.post(wallet, Done(NOW, "reversal", -done.amount, self.now), effects)

    def _mirror_payment(self, wallet: Wallet, amount: int, payment: Payment) -> list[Effect]:
        """What it has paid is due again; of a prepaid customer no invoice is open, and the wallet
        owes it."""
        effects: list[Effect] = [(wallet.deposit_bucket, -amount, None)]
        payment.status = "reversed"
        for bill in wallet.bills if wallet.mode == "postpaid" else ():
            part = bill.shares.pop(payment.id, 0)
            effects += [("invoiced", part, bill), ("surplus", part, None)]
        return effects

    def _mirror(self, wallet: Wallet, bucket: str, change: int, bill: Bill | None) -> list[Effect]:
        credit_customer = change if bucket in ("prepaid", "surplus") else -change
        if wallet.mode == "prepaid":
            return [("prepaid", -credit_customer, None)]
        if credit_customer > 0:  # what was given is taken again where it went
            if bill is not None:
                bill.credited -= credit_customer
            where = "surplus" if bucket == "prepaid" else bucket
            return [(where, -credit_customer if where == "surplus" else credit_customer, bill)]
        if bucket == "unbilled":  # of which less may be left by now
            return self._in_favour(wallet, -credit_customer)
        return [("surplus", -credit_customer, None)]

    # Beginnings, ends, and the clock

    def close(self, wallet: Wallet) -> bool:
        """Whether it is closed now. What is due has expired either way."""
        if wallet.status != "closed":
            self.expire(wallet)
            if any((wallet.prepaid, wallet.surplus, wallet.unbilled, wallet.invoiced, wallet.held)):
                return False
            wallet.status = "closed"
        return True

    def reopen(self, wallet: Wallet, frozen: bool) -> None:
        before, wallet.status = wallet.status, "frozen" if frozen else "open"
        if before != wallet.status:
            self.watch(wallet)

    def auto_top_up(self, wallet: Wallet) -> Done | None:
        """What the clock does about an order: one attempt a day of the account's own."""
        if wallet.order_due is None or wallet.order_due > self.now:
            return None
        today, done = self.now.astimezone(ZONE).date(), None
        if wallet.auto_on is not None and wallet.auto_on >= today:
            self._put_off(wallet, today)
            return None
        if not self.wants_top_up(wallet):
            wallet.order_due = None
            return None
        wallet.auto_on = today
        try:
            self.check_method(wallet, "issue", wallet.auto["amount"])
            done = self.top_up(wallet, wallet.auto["amount"], "issue")
        except Refused:
            done = None
        self._put_off(wallet, today)
        return done

    def _put_off(self, wallet: Wallet, today: date) -> None:
        tomorrow = datetime.combine(today + timedelta(days=1), time(), ZONE).astimezone(UTC)
        wallet.order_due = tomorrow if self.wants_top_up(wallet) else None
