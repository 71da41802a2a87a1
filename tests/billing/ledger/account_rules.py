"""Changes of terms, automatic top-ups, closing and reopening."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from billing import actions, queries
from chassis.runtime import clock
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.billing.ledger.driver import Clock, Driver
from tests.billing.ledger.strategies import PICK, SMALL, WHO
from tests.billing.ledger.wallets import Wallet, written


class AccountRules(Driver):
    """Changes accounts."""

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
        self.patch(self.wallet(who, lambda wallet: wallet.mode != mode), {"payment_mode": mode})

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
        # The first ones get what the provider has left.
        with self.world.database.reading() as session:
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
        newest: str = self.send("GET", path, None).json["data"][0]["id"]
        return newest

    @rule(who=WHO, empty=st.booleans())
    def close(self, who: int, empty: bool) -> None:
        wallet = self.wallet(who)
        if empty and wallet.mode == "prepaid" and not wallet.held and wallet.withdrawable:
            self.withdraw(who, "there", "cash")
            wallet = self.wallet(who)
        self.oracle.now = Clock.now
        before, is_closed = len(wallet.done), self.oracle.close(wallet)
        if not is_closed and len(wallet.done) == before:
            self.seen = self.stored_rows()
        self.run_action(actions.close_account, organization_id=wallet.id, deletion_id="d1")
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
        self.run_action(
            actions.reopen_account, organization_id=wallet.id, conversation_id="c1", frozen=frozen
        )
        self.count("reopen")

    @rule(who=WHO)
    def freeze(self, who: int) -> None:
        wallet = self.wallet(who)
        if who == 3:
            wallet.status = "frozen" if wallet.status == "open" else wallet.status
            self.run_action(actions.freeze_account, organization_id=wallet.id)

    def run_action(self, act: Callable[..., Any], **arguments: Any) -> Any:
        with self.world.database.transaction() as session:
            return act(session, now=Clock.now, **arguments)
