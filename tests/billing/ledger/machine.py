"""Everything that can be done to a few wallets, in any order, on the real door and the real
database, beside an oracle that knows what must come of it."""

import itertools
import pickle
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from billing import actions, queries
from billing.actions.usage.records import UsageRecord
from chassis.runtime import clock, ids
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.billing.conftest import World
from tests.billing.ledger import books
from tests.billing.ledger.oracle import (
    NOW,
    Bill,
    Done,
    Held,
    Oracle,
    Payment,
    Refused,
    Wallet,
    next_month,
    written,
)

BEGIN = datetime.fromisoformat("2031-03-28T10:00:00.000001+00:00")
ORDER = {
    "accounts": "organization_id",
    "journal": "organization_id, seq",
    "invoices": "organization_id, id",
    "credit_notes": "organization_id, transaction_id",
    "payments": "organization_id, id",
    "reservations": "organization_id, id",
    "spendings": "organization_id, day",
    "top_up_orders": "organization_id",
    "unsaid_figures": "organization_id",
    "low_credits": "id",
}
TABLES = {
    table: f"SELECT * FROM {table} WHERE organization_id IN (:a, :b, :c) ORDER BY {order}"
    for table, order in ORDER.items()
}
WHO, PICK = st.integers(0, 7), st.integers(0, 7)
SMALL = st.one_of(
    st.integers(1, 30), st.integers(1, 60).map(lambda n: n * 10**6), st.integers(1, 40 * 10**6)
)
# A number, or a word for what stands at a boundary just now.
AMOUNT = st.one_of(
    SMALL, SMALL, st.sampled_from(["usable", "usable+", "there", "there+", "debt", "huge"])
)
# Of something of which so much is left.
PART = st.one_of(st.sampled_from([None, "there", "there+", "half"]), SMALL)
COST = st.one_of(st.just(0), SMALL)
METHOD = st.sampled_from(["cash", "bank_transfer", "issue", "cash", "card"])
KINDS = st.sampled_from(["usage", "usage", "subscription", "one_off"])
HOW = st.sampled_from(["new"] * 6 + ["same", "reused", "lost"])
RECORDS = st.lists(st.tuples(WHO, AMOUNT, COST, HOW, PICK), min_size=1, max_size=8)
BAD_MONEY = st.sampled_from(
    [
        "1.0000001",
        "1e3",
        "-0",
        "-1",
        "+1",
        " 1",
        "1 ",
        "",
        ".5",
        "1.",
        "NaN",
        "Infinity",
        "0x1",
        "1234567890123",
        "١",
        "1,5",
        "0",
        "0.0000000",
        1,
        1.5,
        True,
        None,
        [],
        {},
    ]
)


class Died(Exception):
    """A process was killed."""


class Clock:
    """The one clock, held still."""

    now = BEGIN


class Machine(RuleBasedStateMachine):
    """``steps``: how many commands were run, by name; for the summary of the run."""

    steps: dict[str, int]

    def __init__(self, world: World, steps: dict[str, int]) -> None:
        super().__init__()
        self.world = World(world.database, world.client)
        self.steps, self.numbers, self.requests = steps, itertools.count(), []
        self.fresh = True
        self.closed_at: dict[str, int] = {}
        self.order: list[str] = []
        Clock.now = BEGIN

    @property
    def bearer(self) -> str:
        """A token of this very hour, which may be months after the last."""
        now = Clock.now.timestamp()
        return self.world.token(iat=now, nbf=now, exp=now + 300)

    @initialize(
        individual=st.booleans(),
        limits=st.tuples(*[st.sampled_from(["50", "0", "0.000005"])] * 3),
        last=st.sampled_from(["prepaid", "postpaid"]),
        own=st.sampled_from(["1000", "30", "0"]),
        wealth=st.sampled_from([True, True, False]),
    )
    def begin(
        self, individual: bool, limits: tuple[str, ...], last: str, own: str, wealth: bool
    ) -> None:
        self.oracle = Oracle(BEGIN, individual)
        with self.world.database.transaction() as session:
            actions.register_provider(
                session,
                provider_id=self.world.provider_id,
                name="Provider",
                country="SG",
                currency="SGD",
                timezone="Asia/Singapore",
            )
            actions.apply_settings(
                session,
                provider_id=self.world.provider_id,
                version=1,
                settings={"invoicing": "individual" if individual else "consolidated"},
            )
        for mode, any_limit, currency in zip(
            ("prepaid", "postpaid", last), limits, ("SGD", "SGD", "JPY"), strict=True
        ):
            limit = "50" if mode == "postpaid" and any_limit == "0" else any_limit
            org = self.world.open(mode, limit, currency)
            self.order.append(org)
            micros = {"0": 0, "50": 50 * 10**6, "0.000005": 5}[limit]
            self.oracle.wallets[org] = Wallet(
                org, currency, mode, micros, next_month(BEGIN) if mode == "postpaid" else None
            )
        for wallet in self.oracle.wallets.values():
            if wealth:
                self.account(
                    wallet,
                    "top-ups",
                    {"amount": "40", "method": "cash"},
                    lambda wallet=wallet: self.oracle.top_up(wallet, 40 * 10**6, "cash"),
                )
        for currency in ("SGD", "JPY") if own != "0" else ():
            response = self.send(
                "POST", "/v1/wallet/top-ups", {"amount": own, "currency": currency}
            )
            assert response.status_code == 201, response.json
            self.oracle.own[currency] = int(own) * 10**6
        self.seen = self.look()

    # What a command needs to be about something; commands that find nothing show nothing

    def need_reservation(self) -> None:
        wallet = self.wallet(0, lambda one: one.usable(Clock.now) > 0)
        if (
            not any(self.is_running(held) for _, held in self.all_held())
            and wallet.usable(Clock.now) > 0
        ):
            self.hold(wallet, min(wallet.usable(Clock.now), 7_000_003), 3600)
            self.seen = self.look()

    def need_charge(self, pick: int, fit: Callable[[Wallet], Any] | None = None) -> Wallet:
        wallet = self.wallet(
            pick, lambda one: one.usable(Clock.now) > 0 and (fit is None or fit(one))
        )
        if not any(done.kind == "charge" and done.undone < done.amount for done in wallet.done) or (
            fit and not wallet.unbilled
        ):
            self.charge(
                pick,
                min(max(1, wallet.usable(Clock.now)), 5_000_003),
                1_000_001,
                "usage",
                False,
                wallet.id,
            )
            self.seen = self.look()
        return self.oracle.wallets[wallet.id]

    def need_bill(self, pick: int) -> None:
        if not any(bill.open for wallet in self.oracle.wallets.values() for bill in wallet.bills):
            wallet = self.need_charge(pick, lambda one: one.mode == "postpaid")
            self.invoice(pick, wallet.id)
            self.seen = self.look()

    # How a command is run

    def wallet(self, who: int, fit: Callable[[Wallet], Any] | None = None) -> Wallet:
        """One of the wallets; mostly of those that are open and fit, if there are any."""
        wallets = [self.oracle.wallets[org] for org in self.order]
        if who < 7:
            wallets = [
                one for one in wallets if one.status == "open" and (fit is None or fit(one))
            ] or wallets
        return wallets[who % len(wallets)]

    def amount(self, wallet: Wallet, amount: int | str, there: int = 0) -> int:
        usable = wallet.usable(Clock.now)
        found = {
            "usable": usable,
            "usable+": usable + 1,
            "there": there or wallet.withdrawable,
            "there+": (there or wallet.withdrawable) + 1,
            "debt": wallet.invoiced or -wallet.prepaid,
            "huge": 10**18 - 1,
        }.get(amount, amount)
        return max(1, min(int(found), 10**18 - 1))

    def send(self, method: str, path: str, body: Any, key: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.bearer}"}
        if method == "POST":
            headers["Idempotency-Key"] = key = key or f"key-{next(self.numbers)}"
        response = self.world.client.open(path, method=method, json=body, headers=headers)
        if (
            method == "POST"
            and response.status_code in (200, 201, 409, 410)
            and not response.headers.get("Idempotent-Replayed")
        ):
            self.requests.append((path, body, key, response.status_code, response.data))
            self.fresh = True
        return response

    def account(
        self, wallet: Wallet, what: str, body: dict[str, Any], act: Callable[[], Any]
    ) -> Any:
        return self.command(what, f"/v1/organizations/{wallet.id}/account/{what}", body, act)

    def command(
        self, name: str, path: str, body: Any, act: Callable[[], Any], method: str = "POST"
    ) -> Any:
        """Send it, and have the oracle do the same: both refuse it with the same code, or both do
        it. Answers what the oracle did with its id, and the response; None when it was refused."""
        name = name.rpartition("/")[2]
        before = pickle.dumps(self.oracle)
        self.oracle.now = Clock.now
        try:
            done, refusal = act(), None
        except Refused as refused:
            done, refusal = None, refused.code
            self.oracle = pickle.loads(before)
        response = self.send(method, path, body)
        published = (response.json or {}).get("code") if response.status_code >= 400 else None
        if refusal == "past":
            refusal = "invalid" if response.status_code == 422 else refusal
        assert published == refusal, (
            f"{name}: the ledger says {response.json}, it should be {refusal}"
        )
        self.count(f"{name} refused" if refusal else name)
        if refusal:
            self.nothing_changed()
            return None
        self.name(done, response.json)
        return response.json

    def name(self, done: Any, shown: dict[str, Any]) -> None:
        """Take over the ids the ledger has given; what it says of the transaction is what was
        done."""
        if isinstance(done, Done | Held | Bill | Payment):
            assert done.id == NOW
        if isinstance(done, Done) and "kind" in shown:
            wallet = self.oracle.wallets[shown["organization_id"]]
            moved = -done.amount if done.kind == "charge" else done.amount
            assert (shown["amount"], shown["balance_after"]) == (
                written(moved, wallet.currency),
                written(wallet.balance, wallet.currency),
            ), shown
        if isinstance(done, Payment):
            wallet = self.oracle.wallets[shown["organization_id"]]
            for bill in wallet.bills:
                if NOW in bill.shares:
                    bill.shares[shown["id"]] = bill.shares.pop(NOW)
            wallet.done[-1].id = shown["transaction_id"]
        if isinstance(done, Done | Held | Bill | Payment):
            done.id = shown["id"]

    def count(self, name: str) -> None:
        self.steps[name] = self.steps.get(name, 0) + 1

    def look(self) -> dict[str, list[Any]]:
        """Every row of money there is, as the database keeps it."""
        keys: list[Any] = [ids.to_uuid("org", org) for org in self.order]
        is_sqlite = self.world.database.is_sqlite
        asked = {name: key.hex if is_sqlite else key for name, key in zip("abc", keys, strict=True)}
        with (
            self.world.database.engine.connect() as connection
        ):  # past the types, which would take most of the time
            return {
                table: list(
                    connection.exec_driver_sql(
                        wanted if is_sqlite else re.sub(":([abc])", r"%(\1)s", wanted), asked
                    )
                )
                for table, wanted in TABLES.items()
            }

    def nothing_changed(self) -> None:
        """Invariant 6: what was refused has left no trace."""
        assert self.look() == self.seen, "a refusal has changed something"

    # Money in and out

    @rule(who=WHO, amount=AMOUNT, method=METHOD)
    def top_up(self, who: int, amount: Any, method: str) -> None:
        wallet = self.wallet(who)
        if method == "issue" and amount in ("usable", "usable+"):
            amount = self.oracle.purse(wallet.currency)[2] + (amount == "usable+")
        amount = self.amount(wallet, amount)
        self.account(
            wallet,
            "top-ups",
            {"amount": written(amount, "SGD"), "method": method},
            lambda: self.oracle.top_up(wallet, amount, method),
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
        """The invoice that was just made."""
        path = f"/v1/organizations/{wallet.id}/invoices?limit=1"
        found: str = self.send("GET", path, None).json["data"][0]["id"]
        return found

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
            lambda: self.oracle.adjust(wallet, amount),
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

    # Reservations

    @rule(who=WHO, amount=AMOUNT, expires_in=st.sampled_from([1, 60, 3600, 30 * 86400]))
    def reserve(self, who: int, amount: Any, expires_in: int) -> None:
        wallet = self.wallet(who)
        self.hold(wallet, self.amount(wallet, amount), expires_in)

    def hold(self, wallet: Wallet, amount: int, expires_in: int) -> None:
        self.account(
            wallet,
            "reservations",
            {"amount": written(amount, "SGD"), "description": "Call", "expires_in": expires_in},
            lambda: self.oracle.reserve(wallet, amount, expires_in),
        )

    def is_running(self, held: Held) -> bool:
        return held.status == "open" and Clock.now < held.expires_at

    def all_held(self) -> list[tuple[Wallet, Held]]:
        return [
            (wallet, held)
            for wallet in self.oracle.wallets.values()
            for held in wallet.reservations
        ]

    def held(self, pick: int) -> tuple[Wallet, Held] | None:
        """One of the reservations; mostly of those that are open."""
        found = self.all_held()
        if pick < 6:
            found = [one for one in found if self.is_running(one[1])] or found
        return found[pick % len(found)] if found else None

    @rule(
        pick=PICK,
        parts=st.lists(
            st.tuples(PART, st.sampled_from([None, True, False, False]), COST),
            min_size=1,
            max_size=3,
        ),
    )
    def capture(self, pick: int, parts: list[tuple[Any, bool | None, int]]) -> None:
        """One after the other, from one reservation while it lasts."""
        if pick < 7:
            self.need_reservation()
        for amount, final, cost in parts:
            if self.held(pick):
                self.capture_part(pick, amount, final, cost)
                self.seen = self.look()

    def capture_part(self, pick: int, amount: Any, final: bool | None, cost: int) -> None:
        wallet, held = self.held(pick)
        if amount is not None:
            amount = (
                max(1, held.left // 2)
                if amount == "half"
                else self.amount(wallet, amount, held.left)
            )
        body = {} if amount is None else {"amount": written(amount, "SGD")}
        body |= {} if final is None else {"final": final}
        body |= {"cost": written(cost, "SGD")} if cost else {}
        shown = self.account(
            wallet,
            f"reservations/{held.id}/capture",
            body,
            lambda: self.oracle.capture(wallet, held, amount, final is not False, cost),
        )
        if shown:
            wallet.done[-1].id = self.last_transaction(wallet)

    @precondition(lambda self: self.held(0))
    @rule(pick=PICK)
    def release(self, pick: int) -> None:
        wallet, held = self.held(pick)
        self.account(
            wallet, f"reservations/{held.id}/release", {}, lambda: self.oracle.release(wallet, held)
        )

    @rule(
        pick=PICK,
        early=st.sampled_from([1, 0, 0]),
        then=st.sampled_from(["sweep", "capture", "release", ""]),
    )
    def wait_for_the_end(self, pick: int, early: int, then: str) -> None:
        """To the very microsecond at which a reservation ends, or to the one before."""
        self.need_reservation()
        running = [held for _, held in self.all_held() if self.is_running(held)]
        if not running:
            return
        held = running[pick % len(running)]
        Clock.now = max(Clock.now, held.expires_at - timedelta(microseconds=early))
        if then == "sweep":
            self.sweep()
        elif then:
            wallet, held = next(one for one in self.all_held() if one[1] is held)
            self.account(
                wallet,
                f"reservations/{held.id}/{then}",
                {},
                lambda: (
                    self.oracle.release(wallet, held)
                    if then == "release"
                    else self.oracle.capture(wallet, held, None, True, 0)
                ),
            )

    @precondition(
        lambda self: self.held(0) or any(wallet.ends for wallet in self.oracle.wallets.values())
    )
    @rule(seconds=st.sampled_from([1, 60, 3600, 86400]))
    def wait(self, seconds: int) -> None:
        Clock.now += timedelta(seconds=seconds)

    def is_something_due(self) -> bool:
        ends = [held.expires_at for _, held in self.all_held() if held.status == "open"]
        ends += [wallet.ends for wallet in self.oracle.wallets.values() if wallet.ends]
        return any(end <= Clock.now for end in ends)

    @precondition(is_something_due)
    @rule()
    def sweep(self) -> None:
        self.oracle.now = Clock.now
        self.world.run_jobs(
            "expire_reservations",
            "expire_credit_limits",
            "publish_balances",
            "publish_low_credits",
            now=Clock.now,
        )
        for wallet in self.oracle.wallets.values():
            self.oracle.expire_credit_limit(wallet)
        for wallet in self.oracle.wallets.values():
            self.oracle.expire(wallet)
        self.count("sweep")

    # Terms

    def patch(self, wallet: Wallet, patch: dict[str, Any]) -> None:
        micros = dict(patch)
        for name in ("credit_limit",):
            if name in patch:
                patch[name] = written(patch[name], "SGD")
        if patch.get("credit_limit_expires_at"):
            patch["credit_limit_expires_at"] = clock.stamp(patch["credit_limit_expires_at"])
        if "auto_top_up" in patch:
            auto = dict(patch["auto_top_up"])
            micros["auto_top_up"] = dict(auto)
            for name in ("threshold", "amount"):
                auto[name] = None if auto[name] is None else written(auto[name], "SGD")
            patch["auto_top_up"] = {**auto, "method": "issue"}
        self.command(
            "patch",
            f"/v1/organizations/{wallet.id}/account",
            patch,
            lambda: self.oracle.change(wallet, micros),
            method="PATCH",
        )

    @rule(
        who=WHO,
        limit=st.one_of(st.none(), st.just(0), SMALL),
        temporary=st.sampled_from([None, 0, -1, 1, 60, 90000]),
    )
    def change_limit(self, who: int, limit: int | None, temporary: int | None) -> None:
        patch: dict[str, Any] = {} if limit is None else {"credit_limit": limit}
        if temporary is not None:
            ends = Clock.now + timedelta(seconds=temporary) if temporary else None
            patch["credit_limit_expires_at"] = ends
        self.patch(self.wallet(who), patch)

    @rule(who=WHO, mode=st.sampled_from(["prepaid", "postpaid"]))
    def change_mode(self, who: int, mode: str) -> None:
        self.patch(self.wallet(who, lambda one: one.mode != mode), {"payment_mode": mode})

    @rule(
        who=WHO,
        threshold=st.one_of(st.none(), SMALL),
        amount=SMALL,
        enabled=st.sampled_from([True, True, False]),
    )
    def automatic(self, who: int, threshold: int | None, amount: int, enabled: bool) -> None:
        self.patch(
            self.wallet(who),
            {"auto_top_up": {"enabled": enabled, "threshold": threshold, "amount": amount}},
        )

    @precondition(lambda self: any(wallet.order_due for wallet in self.oracle.wallets.values()))
    @rule()
    def top_up_automatically(self) -> None:
        self.oracle.now = Clock.now
        with (
            self.world.database.reading() as session
        ):  # who is tried first gets what the provider has
            due = queries.due_top_ups(session, Clock.now, limit=10**6)
        first_come = [org for org in due if org in self.oracle.wallets]
        self.world.run_jobs("run_auto_top_ups", now=Clock.now)
        for org in first_come:
            wallet = self.oracle.wallets[org]
            done = self.oracle.auto_top_up(wallet)
            if done:
                done.id = self.last_transaction(wallet)
                self.count("automatic top-up")

    def last_transaction(self, wallet: Wallet) -> str:
        path = f"/v1/organizations/{wallet.id}/account/transactions?limit=1"
        found: str = self.send("GET", path, None).json["data"][0]["id"]
        return found

    # Invoices and payments

    @rule(who=WHO)
    def invoice(self, who: int, org: str = "") -> None:
        wallet = self.oracle.wallets[org] if org else self.wallet(who, lambda one: one.unbilled)
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
        found = [(wallet, bill) for wallet in self.oracle.wallets.values() for bill in wallet.bills]
        return found[pick % len(found)] if found else None

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
        wallet = self.wallet(who, lambda one: one.invoiced)
        amount, bills = self.amount(wallet, amount), self.chosen(wallet, chosen)
        body: dict[str, Any] = {"amount": written(amount, "SGD"), "method": method}
        body |= {} if bills is None else {"invoice_ids": [bill.id for bill in bills]}
        self.command(
            "payments",
            f"/v1/organizations/{wallet.id}/payments",
            body,
            lambda: self.oracle.pay(wallet, amount, method, bills),
        )

    def chosen(self, wallet: Wallet, picks: list[int] | None) -> list[Bill] | None:
        if picks is None:
            return None
        return (
            [wallet.bills[n] for n in dict.fromkeys(pick % len(wallet.bills) for pick in picks)]
            if (wallet.bills)
            else []
        )

    def all_paid(self) -> list[tuple[Wallet, Payment]]:
        return [
            (wallet, payment)
            for wallet in self.oracle.wallets.values()
            for payment in wallet.payments
        ]

    @rule(pick=PICK, chosen=st.lists(PICK, max_size=3), times=st.sampled_from([1, 1, 6]))
    def assign(self, pick: int, chosen: list[int], times: int) -> None:
        """Once, or there and back until it may be no more."""
        if not self.all_paid() and pick < 7:
            self.pay(0, "debt", "cash", None)
            self.seen = self.look()
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
            self.seen = self.look()

    # Giving and taking back

    def past(self, pick: int, *kinds: str) -> tuple[Wallet, Done] | None:
        found = [
            (wallet, done)
            for wallet in self.oracle.wallets.values()
            for done in reversed(wallet.done)
            if done.id != NOW and (not kinds or done.kind in kinds)
        ]
        return found[pick % len(found)] if found else None

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
            done = next(one for one in wallet.done if one.id == done.id)
            self.account(
                wallet,
                f"transactions/{done.id}/reverse",
                {"reason": "bounced"},
                lambda wallet=wallet, done=done: self.oracle.reverse(wallet, done),
            )
            self.seen = self.look()

    # Beginnings and ends

    @rule(who=WHO, empty=st.booleans())
    def close(self, who: int, empty: bool) -> None:
        wallet = self.wallet(who)
        if empty and wallet.mode == "prepaid" and not wallet.held and wallet.withdrawable:
            self.withdraw(who, "there", "cash")
            wallet = self.wallet(who)
        self.oracle.now = Clock.now
        before, is_closed = len(wallet.done), self.oracle.close(wallet)
        if not is_closed and len(wallet.done) == before:
            self.seen = self.look()
        self.world_act(actions.close_account, organization_id=wallet.id, deletion_id="d1")
        name = self.world.published(wallet.id)[-1][0]
        assert name == ("account_closed" if is_closed else "account_not_closed")
        if not is_closed and len(wallet.done) == before:
            self.nothing_changed()
        self.count("close" if is_closed else "close refused")

    @precondition(
        lambda self: any(wallet.status != "open" for wallet in self.oracle.wallets.values())
    )
    @rule(pick=PICK, frozen=st.integers(0, 5).map(lambda n: n == 5))
    def reopen(self, pick: int, frozen: bool) -> None:
        shut = [wallet for wallet in self.oracle.wallets.values() if wallet.status != "open"]
        wallet = shut[pick % len(shut)]
        self.oracle.now = Clock.now
        self.oracle.reopen(wallet, frozen)
        self.closed_at.pop(wallet.id, None)
        self.world_act(
            actions.reopen_account, organization_id=wallet.id, conversation_id="c1", frozen=frozen
        )
        self.count("reopen")

    @rule(who=WHO)
    def freeze(self, who: int) -> None:
        wallet = self.wallet(who)
        if who == 3:
            wallet.status = "frozen" if wallet.status == "open" else wallet.status
            self.world_act(actions.freeze_account, organization_id=wallet.id)

    def world_act(self, act: Callable[..., Any], **arguments: Any) -> Any:
        with self.world.database.transaction() as session:
            return act(session, now=Clock.now, **arguments)

    # Asking twice

    @precondition(lambda self: self.requests and self.fresh)
    @rule(pick=st.integers(0, 60), other=st.booleans())
    def ask_again(self, pick: int, other: bool) -> None:
        """The same key again, hours and changes later: the same response and no effect; another body
        is refused."""
        self.fresh = False
        path, body, key, status, data = self.requests[-1 - pick % len(self.requests)]
        changed = next((name for name in ("description", "reason", "remark") if name in body), None)
        if other and changed:
            response = self.send("POST", path, {**body, changed: "another"}, key)
            assert (response.status_code, response.json["code"]) == (
                422,
                "idempotency_key_reused",
            ), response.json
        else:
            response = self.send("POST", path, body, key)
            assert (response.status_code, response.data) == (status, data)
            assert response.headers["Idempotent-Replayed"] == "true"
        self.count("asked again")
        self.nothing_changed()

    # Usage

    @rule(
        records=RECORDS,
        way=st.sampled_from(["access_control", "broker"]),
        always=st.integers(0, 4),
        again=st.booleans(),
    )
    def use(self, records: list[Any], way: str, always: int, again: bool) -> None:
        """A batch as it comes from outside; the oracle goes through it one by one."""
        batch = [self.a_record(*record) for record in records]
        for _ in range(1 + again):  # it was committed, but nobody heard so
            self.run_batch(batch, way, always == 0, crash=False)

    @rule(records=RECORDS, way=st.sampled_from(["arrays", "copy", "parts"]), crash=st.booleans())
    def write(self, records: list[Any], way: str, crash: bool) -> None:
        """A batch by each way in which it can be written."""
        self.run_batch([self.a_record(*record) for record in records], way, False, crash)

    def a_record(self, who: int, amount: Any, cost: int, how: str, pick: int) -> dict[str, Any]:
        wallet = self.wallet(who)
        made = {
            "id": f"u{next(self.numbers)}",
            "organization_id": wallet.id,
            "amount": self.amount(wallet, amount),
            "at": BEGIN,
            "description": "Calls",
            "cost": cost,
        }
        if how == "lost":
            made["organization_id"] = ids.new("org")
        elif how != "new" and self.oracle.records:
            known = list(self.oracle.records)[pick % len(self.oracle.records)]
            earlier = dict(
                zip(
                    ("organization_id", "amount", "at", "description", "cost"),
                    self.oracle.records[known],
                    strict=True,
                )
            )
            made |= {"id": known, **earlier}
            if how == "reused":
                others: list[dict[str, Any]] = [
                    {"cost": made["cost"] + 1},
                    {"amount": made["amount"] + 1},
                    {"description": "Others"},
                ]
                made |= others[pick % 3]
        return made

    def run_batch(self, batch: list[dict[str, Any]], way: str, always: bool, crash: bool) -> None:
        records = [UsageRecord(self.world.provider_id, always=always, **record) for record in batch]
        if crash:
            self.crash(records)
        self.oracle.now = Clock.now
        for org in {record["organization_id"] for record in batch} & self.oracle.wallets.keys():
            self.oracle.expire(self.oracle.wallets[org])
        lengths = {org: len(wallet.done) for org, wallet in self.oracle.wallets.items()}
        expected = [self.oracle.record(record, always) for record in batch]
        refused = {
            n: outcome
            for n, outcome in enumerate(expected)
            if outcome not in ("accepted", "duplicate")
        }
        if way == "access_control":
            assert self.by_the_door(batch, always) == (
                expected.count("accepted"),
                expected.count("duplicate"),
                refused,
            )
        else:
            outcomes = self.by_action(records, way)
            assert outcomes == (list(refused) if way == "broker" else expected)
        self.name_charges(lengths)
        for outcome in expected:
            self.count(f"record {outcome}")

    def crash(self, records: list[UsageRecord]) -> None:
        """It dies before the commit, so that the batch comes again."""
        try:
            with self.world.database.transaction() as session:
                actions.record_usage(session, records=records, now=Clock.now)
                raise Died
        except Died:
            self.nothing_changed()

    def by_the_door(
        self, batch: list[dict[str, Any]], always: bool
    ) -> tuple[int, int, dict[int, str]]:
        raw = [
            {
                **record,
                "amount": written(record["amount"], "SGD"),
                "cost": written(record["cost"], "SGD"),
                "at": clock.stamp(record["at"]),
            }
            for record in batch
        ]
        response = self.send(
            "POST", "/v1/usage", {"records": raw, "admission": "always" if always else "limit"}
        )
        assert response.status_code == 200, response.json
        refused = {found["index"]: found["code"] for found in response.json["refused"]}
        return response.json["accepted"], response.json["duplicates"], refused

    def by_action(self, records: list[UsageRecord], way: str) -> Any:
        with self.world.database.transaction() as session:
            if way == "broker":
                return actions.record_usage_messages(session, records, Clock.now)
            if way == "parts":
                return [
                    outcome
                    for record in records
                    for outcome in actions.record_usage(session, records=[record], now=Clock.now)
                ]
            return actions.record_usage(session, records=records, now=Clock.now, copy=way == "copy")

    def name_charges(self, lengths: dict[str, int]) -> None:
        """Take over the ids of what the batch has posted."""
        journal = sorted(self.look()["journal"], key=lambda row: row.seq)
        for org, wallet in self.oracle.wallets.items():
            posted = wallet.done[lengths[org] :]
            own = [
                row
                for row in journal
                if row.source and books.key("org", row.organization_id) == org
            ]
            for done, row in zip(posted, own[len(own) - len(posted) :], strict=True):
                done.id = str(books.key("txn", row.transaction_id))

    # What must hold at any time

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "seen"):
            return
        self.seen = self.look()
        books.check(self.seen, self.oracle, self.closed_at)

    def teardown(self) -> None:
        if hasattr(self, "seen"):
            books.check_doors(self, Clock.now)
