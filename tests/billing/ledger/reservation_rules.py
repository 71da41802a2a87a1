"""Reservations, and the passing of time."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.billing.ledger.driver import Clock, Driver
from tests.billing.ledger.strategies import AMOUNT, COST, PART, PICK, WHO
from tests.billing.ledger.wallets import Held, Wallet, written


class ReservationRules(Driver):
    """Reserves, captures, releases and waits."""

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
        """One of the reservations, mostly of those that are open."""
        candidates = self.all_held()
        if pick < 6:
            running = [pair for pair in candidates if self.is_running(pair[1])]
            candidates = running or candidates
        return candidates[pick % len(candidates)] if candidates else None

    @rule(
        pick=PICK,
        parts=st.lists(
            st.tuples(PART, st.sampled_from([None, True, False, False]), COST),
            min_size=1,
            max_size=3,
        ),
    )
    def capture(self, pick: int, parts: list[tuple[Any, bool | None, int]]) -> None:
        """Capture parts of one reservation while something is left."""
        if pick < 7:
            self.need_reservation()
        for amount, final, cost in parts:
            if self.held(pick):
                self.capture_part(pick, amount, final, cost)
                self.seen = self.stored_rows()

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
        """Advance to the microsecond at which a reservation expires, or to the one before."""
        self.need_reservation()
        running = [held for _, held in self.all_held() if self.is_running(held)]
        if not running:
            return
        held = running[pick % len(running)]
        Clock.now = max(Clock.now, held.expires_at - timedelta(microseconds=early))
        if then == "sweep":
            self.sweep()
        elif then:
            wallet, held = next(pair for pair in self.all_held() if pair[1] is held)
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
