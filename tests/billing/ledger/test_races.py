"""Sixteen threads on the same wallets, on PostgreSQL: no charge exceeds the credits, there is no
deadlock, and the ledger audit finds nothing.

LEDGER_RACE_SECONDS sets the duration; LEDGER_SEED repeats the choices of each thread, but not their
timing.
"""

import itertools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from billing import actions, queries
from billing.actions.usage.records import UsageRecord
from billing.models import Account, Entry, Reservation
from chassis.errors import Conflict, Gone, Invalid
from chassis.runtime import clock
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from tests.billing.conftest import CLERK, World
from tests.billing.ledger.conftest import SEED, ran
from tests.billing.test_concurrency import THREADS, at_once

SECONDS = float(os.environ.get("LEDGER_RACE_SECONDS", "5"))
SIZE = 300_000
LIMIT = 10 * SIZE

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


class Racer:
    """The choices of one thread, which counts its actions and refusals in ``outcomes``.

    Everything taken from the first wallet is a multiple of SIZE.
    """

    def __init__(
        self,
        world: World,
        number: int,
        wallets: list[str],
        outcomes: Counter[str],
        batches: list[Any],
    ) -> None:
        self.world, self.number, self.outcomes, self.batches = world, number, outcomes, batches
        self.main, self.postpaid, *self.others = wallets
        self.dice, self.numbers = random.Random(SEED * 100 + number), itertools.count()

    def run(self, until: float) -> None:
        ways: list[Callable[[], Any]] = [
            self.charge,
            self.charge,
            self.hold,
            self.hold,
            self.use,
            self.use,
            self.use,
            self.bill,
            self.pay,
            self.refill,
            self.close,
            self.issue,
            self.run_jobs,
            self.limit,
        ]
        while time.monotonic() < until:
            way = self.dice.choice(ways)
            try:
                way()
                self.outcomes[way.__name__] += 1
            except (Conflict, Gone, Invalid) as refusal:
                self.outcomes[refusal.code] += 1
            except DBAPIError as problem:
                self.outcomes[f"database {getattr(problem.orig, 'sqlstate', None)}"] += 1

    def act(self, action: Callable[..., Any], **arguments: Any) -> Any:
        with self.world.database.transaction() as session:
            return action(session, now=clock.now(), **arguments)

    def charge(self) -> None:
        kind = self.dice.choice(["usage", "one_off"])
        self.act(
            actions.charge,
            organization_id=self.main,
            amount=SIZE,
            kind=kind,
            description="x",
            by=CLERK,
            cost=self.dice.choice([0, 7]),
        )

    def hold(self) -> None:
        parts, wallet = (
            self.dice.randint(1, 3),
            self.dice.choice([self.main, self.main, self.postpaid]),
        )
        held = self.act(
            actions.reserve,
            by=CLERK,
            organization_id=wallet,
            amount=parts * SIZE,
            description="x",
            expires_in=600,
        )
        reservation = {"organization_id": wallet, "reservation_id": held["id"]}
        if self.dice.random() < 0.3:
            self.act(actions.release, by=CLERK, **reservation)
        else:
            for _ in range(self.dice.randint(1, parts)):
                self.act(actions.capture, by=CLERK, **reservation, amount=SIZE, final=False)

    def use(self) -> None:
        """Records for several wallets, in any order; sometimes a batch that another thread sent."""
        if self.batches and self.dice.random() < 0.2:
            self.act(actions.record_usage, by=CLERK, records=self.dice.choice(self.batches))
            return
        wallets = [self.main, self.postpaid, *self.others]
        batch = [
            UsageRecord(
                self.world.provider_id,
                f"{self.number}-{next(self.numbers)}",
                self.dice.choice(wallets),
                SIZE,
                clock.now(),
                "x",
                self.dice.choice([0, 3]),
            )
            for _ in range(self.dice.choice([2, 5, 12, 60]))
        ]
        self.batches.append(batch)
        self.act(actions.record_usage, by=CLERK, records=batch)

    def bill(self) -> None:
        self.act(actions.issue_invoice, organization_id=self.postpaid, by=CLERK)

    def pay(self) -> None:
        self.act(
            actions.record_payment,
            organization_id=self.postpaid,
            amount=self.dice.randint(1, 9) * SIZE,
            method=self.dice.choice(["cash", "issue"]),
            by=CLERK,
        )

    def refill(self) -> None:
        self.act(
            actions.top_up,
            organization_id=self.main,
            amount=SIZE * self.dice.randint(1, 5),
            method="cash",
            by=CLERK,
        )

    def issue(self) -> None:
        self.act(
            actions.top_up,
            organization_id=self.dice.choice(self.others),
            amount=SIZE,
            method="issue",
            by=CLERK,
        )

    def close(self) -> None:
        wallet = self.dice.choice(self.others)
        self.act(actions.close_account, organization_id=wallet, deletion_id="d1")
        self.act(actions.reopen_account, organization_id=wallet, conversation_id="c1", frozen=False)

    def run_jobs(self) -> None:
        self.world.run_jobs(
            "expire_reservations", "publish_balances", "publish_low_credits", "run_billing"
        )

    def limit(self) -> None:
        self.act(
            actions.change_account,
            organization_id=self.postpaid,
            check=lambda current: None,
            by=CLERK,
            patch={"credit_limit": self.dice.randint(5, 50) * SIZE},
        )


@pytest.mark.timeout(SECONDS * 3 + 180)
def test_sixteen_threads_get_exactly_what_is_available_without_deadlock(world: World) -> None:
    wallets = [
        world.open(limit="3"),
        world.open("postpaid", limit="9"),
        *[world.open(limit="2") for _ in range(6)],
    ]
    world.call("POST", "/v1/wallet/top-ups", {"amount": "1000"})
    outcomes: list[Counter[str]] = [Counter() for _ in range(THREADS)]
    batches: list[Any] = []
    until = time.monotonic() + SECONDS
    racers = [Racer(world, n, wallets, outcomes[n], batches) for n in range(THREADS)]
    done = at_once(*[lambda racer=racer: racer.run(until) for racer in racers])
    total = sum(outcomes, Counter())
    ran.append(
        f"{THREADS} threads for {SECONDS:.0f} s, LEDGER_SEED={SEED}: "
        + ", ".join(f"{name} {times}" for name, times in sorted(total.items()))
    )
    assert [problem for problem in done if problem] == []
    assert {name: times for name, times in total.items() if name.startswith("database")} == {}
    main = wallets[0]
    _release_all(world, main)
    _spend_the_rest(world, main)
    with world.database.reading() as session:
        account = session.get_one(Account, main)
        received = (
            session.scalar(
                select(func.sum(Entry.moved)).where(Entry.organization_id == main, Entry.moved > 0)
            )
            or 0
        )
        lowest = session.scalar(
            select(func.min(Entry.prepaid_after - Entry.held_after)).where(
                Entry.organization_id == main
            )
        )
    assert lowest is not None and lowest >= -LIMIT, "more was admitted than the credits cover"
    assert (account.prepaid, account.held) == (-LIMIT, 0), (
        "a charge was refused although the credits cover it"
    )
    assert received % SIZE == 0
    with world.database.reading(snapshot=True) as session:
        assert queries.audit_batch(session, world.provider_id).discrepancies == []


def _release_all(world: World, org: str) -> None:
    with world.database.transaction() as session:
        reservation_ids = session.scalars(
            select(Reservation.id).where(
                Reservation.organization_id == org, Reservation.status == "open"
            )
        ).all()
        for reservation_id in reservation_ids:
            actions.release(
                session,
                by=CLERK,
                organization_id=org,
                reservation_id=reservation_id,
                now=clock.now(),
            )


def _spend_the_rest(world: World, org: str) -> None:
    """All threads charge until one is refused."""
    stop = threading.Event()

    def spend() -> None:
        while not stop.is_set():
            try:
                world.act(
                    actions.charge, organization_id=org, amount=SIZE, kind="usage", description="x"
                )
            except Conflict:
                stop.set()

    assert [problem for problem in at_once(*[spend] * THREADS) if problem] == []
