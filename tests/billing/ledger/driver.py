"""Runs each command against the real API and database, and against the oracle, and compares
them."""

import itertools
import pickle
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from billing import actions
from chassis.runtime import ids
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from tests.billing.conftest import World
from tests.billing.ledger import books
from tests.billing.ledger.oracle import Oracle, Refused
from tests.billing.ledger.wallets import NOW, Bill, Done, Held, Payment, Wallet, next_month, written

BEGIN = datetime.fromisoformat("2031-03-28T10:00:00.000001+00:00")
ORDER = {
    "accounts": "organization_id",
    "journal": "organization_id, seq",
    "invoices": "organization_id, id",
    "credit_notes": "organization_id, transaction_id",
    "payments": "organization_id, id",
    "sources": "organization_id, seq",
    "allocations": "organization_id, seq, source_id",
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


class Clock:
    """The clock, which only the tests advance."""

    now = BEGIN


class Driver(RuleBasedStateMachine):
    """``steps``: the number of commands run, by name, for the summary."""

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
        """A token for the current time, which may be months after the last one."""
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
                settings={
                    "invoicing": "individual" if individual else "consolidated",
                    "document_rounding": "none",
                },
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
        self.seen = self.stored_rows()

    # Prepare the object that a command needs, so that few commands are skipped

    def need_reservation(self) -> None:
        wallet = self.wallet(0, lambda wallet: wallet.usable(Clock.now) > 0)
        if (
            not any(self.is_running(held) for _, held in self.all_held())
            and wallet.usable(Clock.now) > 0
        ):
            self.hold(wallet, min(wallet.usable(Clock.now), 7_000_003), 3600)
            self.seen = self.stored_rows()

    def need_charge(self, pick: int, fit: Callable[[Wallet], Any] | None = None) -> Wallet:
        wallet = self.wallet(
            pick, lambda wallet: wallet.usable(Clock.now) > 0 and (fit is None or fit(wallet))
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
            self.seen = self.stored_rows()
        return self.oracle.wallets[wallet.id]

    def need_bill(self, pick: int) -> None:
        if not any(bill.open for wallet in self.oracle.wallets.values() for bill in wallet.bills):
            wallet = self.need_charge(pick, lambda wallet: wallet.mode == "postpaid")
            self.invoice(pick, wallet.id)
            self.seen = self.stored_rows()

    # Run a command

    def wallet(self, who: int, fit: Callable[[Wallet], Any] | None = None) -> Wallet:
        """One of the wallets, mostly of those that are open and fit, if there are any."""
        wallets = [self.oracle.wallets[org] for org in self.order]
        if who < 7:
            wallets = [
                wallet
                for wallet in wallets
                if wallet.status == "open" and (fit is None or fit(wallet))
            ] or wallets
        return wallets[who % len(wallets)]

    def amount(self, wallet: Wallet, amount: int | str, there: int = 0) -> int:
        usable = wallet.usable(Clock.now)
        amounts = {
            "usable": usable,
            "usable+": usable + 1,
            "there": there or wallet.withdrawable,
            "there+": (there or wallet.withdrawable) + 1,
            "debt": wallet.invoiced or -wallet.prepaid,
            "huge": 10**18 - 1,
        }
        value = amounts.get(amount, amount)
        return max(1, min(int(value), 10**18 - 1))

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
        """Send the request and run the oracle: both must succeed, or refuse with the same code.

        Returns the response, or None if it was refused.
        """
        name = name.rpartition("/")[2]
        before = pickle.dumps(self.oracle)
        self.oracle.now = Clock.now
        try:
            done, refusal = act(), None
        except Refused as refused:
            done, refusal = None, refused.code
            self.oracle = pickle.loads(before)
        response = self.send(method, path, body)
        code = (response.json or {}).get("code") if response.status_code >= 400 else None
        if refusal == "past":
            refusal = "invalid" if response.status_code == 422 else refusal
        assert code == refusal, f"{name}: the ledger returned {response.json}, expected {refusal}"
        self.count(f"{name} refused" if refusal else name)
        if refusal:
            self.nothing_changed()
            return None
        self.name(done, response.json)
        return response.json

    def name(self, done: Any, shown: dict[str, Any]) -> None:
        """Take over the ids of the ledger, and compare the transaction with the oracle's."""
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
            wallet.done[-1].id = shown["transaction_id"]
        if isinstance(done, Done | Held | Bill | Payment):
            done.id = shown["id"]

    def chosen(self, wallet: Wallet, picks: list[int] | None) -> list[Bill] | None:
        if picks is None:
            return None
        return (
            [wallet.bills[n] for n in dict.fromkeys(pick % len(wallet.bills) for pick in picks)]
            if (wallet.bills)
            else []
        )

    def count(self, name: str) -> None:
        self.steps[name] = self.steps.get(name, 0) + 1

    def stored_rows(self) -> dict[str, list[Any]]:
        """Every stored row about money."""
        keys: list[Any] = [ids.to_uuid("org", org) for org in self.order]
        is_sqlite = self.world.database.is_sqlite
        parameters = {
            name: key.hex if is_sqlite else key for name, key in zip("abc", keys, strict=True)
        }
        # Without SQLAlchemy's types, which would take most of the time.
        with self.world.database.engine.connect() as connection:
            return {
                table: list(
                    connection.exec_driver_sql(
                        wanted if is_sqlite else re.sub(":([abc])", r"%(\1)s", wanted), parameters
                    )
                )
                for table, wanted in TABLES.items()
            }

    def nothing_changed(self) -> None:
        """Invariant: a refusal changes nothing."""
        assert self.stored_rows() == self.seen, "a refusal has changed something"

    # Check after every step

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "seen"):
            return
        self.seen = self.stored_rows()
        books.check(self.seen, self.oracle, self.closed_at)

    def teardown(self) -> None:
        if hasattr(self, "seen"):
            books.check_api(self, Clock.now)
