"""Batches of usage, and repeated requests."""

import sys
from typing import Any
from unittest import mock

from billing import actions
from billing.actions.ledger import bulk_writes
from billing.actions.usage.records import UsageRecord
from chassis.auth.actor import SYSTEM
from chassis.runtime import clock, ids
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.billing.ledger import books
from tests.billing.ledger.driver import BEGIN, Clock, Driver
from tests.billing.ledger.strategies import RECORDS
from tests.billing.ledger.wallets import written


class Died(Exception):
    """The process was killed."""


class UsageRules(Driver):
    """Records usage in every way, and repeats requests."""

    @rule(
        records=RECORDS,
        way=st.sampled_from(["http", "broker"]),
        always=st.integers(0, 4),
        again=st.booleans(),
    )
    def use(self, records: list[Any], way: str, always: int, again: bool) -> None:
        """A batch as it arrives from outside; the oracle decides record by record."""
        batch = [self.a_record(*record) for record in records]
        for _ in range(1 + again):  # sent again after the commit
            self.run_batch(batch, way, always == 0, crash=False)

    @rule(records=RECORDS, way=st.sampled_from(["arrays", "copy", "parts"]), crash=st.booleans())
    def write(self, records: list[Any], way: str, crash: bool) -> None:
        """A batch by each posting path."""
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
        lengths = {org: len(wallet.done) for org, wallet in self.oracle.wallets.items()}
        expected = [self.oracle.record(record, always) for record in batch]
        refused = {
            n: outcome
            for n, outcome in enumerate(expected)
            if outcome not in ("accepted", "duplicate")
        }
        if way == "http":
            assert self.by_http(batch, always) == (
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
        """The process dies before the commit, so the batch is sent again."""
        try:
            with self.world.database.transaction() as session:
                actions.record_usage(session, by=SYSTEM, records=records, now=Clock.now)
                raise Died
        except Died:
            self.nothing_changed()

    def by_http(self, batch: list[dict[str, Any]], always: bool) -> tuple[int, int, dict[int, str]]:
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
        refused = {refusal["index"]: refusal["code"] for refusal in response.json["refused"]}
        return response.json["accepted"], response.json["duplicates"], refused

    def by_action(self, records: list[UsageRecord], way: str) -> Any:
        with self.world.database.transaction() as session:
            if way == "broker":
                return actions.record_usage_messages(session, records, Clock.now)
            if way == "parts":
                return [
                    outcome
                    for record in records
                    for outcome in actions.record_usage(
                        session, by=SYSTEM, records=[record], now=Clock.now
                    )
                ]
            most = 0 if way == "copy" else sys.maxsize
            with mock.patch.object(bulk_writes, "MAX_PLAIN_ROWS", most):
                return actions.record_usage(session, by=SYSTEM, records=records, now=Clock.now)

    def name_charges(self, lengths: dict[str, int]) -> None:
        """Take over the ids of the posted rows."""
        journal = sorted(self.stored_rows()["journal"], key=lambda row: row.seq)
        for org, wallet in self.oracle.wallets.items():
            posted = [done for done in wallet.done[lengths[org] :] if done.kind == "charge"]
            own = [
                row
                for row in journal
                if row.source and books.key("org", row.organization_id) == org
            ]
            for done, row in zip(posted, own[len(own) - len(posted) :], strict=True):
                done.id = str(books.key("txn", row.transaction_id))

    @precondition(lambda self: self.requests and self.fresh)
    @rule(pick=st.integers(0, 60), other=st.booleans())
    def ask_again(self, pick: int, other: bool) -> None:
        """The same key again, hours and changes later: the same response and no effect.

        Another body is refused.
        """
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
