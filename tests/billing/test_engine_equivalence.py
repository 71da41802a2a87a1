"""The same random commands one by one, in batches and in groups, on both databases, end in
identical books.

``ENGINE_COMMANDS`` of them (400), from the seed ``LEDGER_SEED``.
"""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from billing.actions.ledger import engine
from billing.actions.ledger.entries import Posted
from billing.actions.ledger.orders import Order
from billing.models import Account, Entry, Reservation, Spending
from billing.models.decisions import Capture, Charge, Command, Refusal, Release, Reserve
from billing.values import UNIT
from chassis.auth.actor import SYSTEM
from chassis.db.database import Database
from chassis.db.idempotency_keys import Answer, RequestKey
from chassis.db.stored_answers import Request
from chassis.runtime import ids
from sqlalchemy import select

from tests.billing.conftest import World

COMMANDS = int(os.environ.get("ENGINE_COMMANDS", "400"))
SEED = int(os.environ.get("LEDGER_SEED", "20261130"))
BEGIN = datetime.fromisoformat("2031-03-28T10:00:00.000001+00:00")
ACCOUNTS = (("prepaid", "20"), ("prepaid", "0"), ("postpaid", "30"), ("postpaid", "5"))
COLUMNS = (
    "seq",
    "part",
    "kind",
    "debit",
    "credit",
    "amount",
    "moved",
    "balance_after",
    "prepaid_after",
    "surplus_after",
    "unbilled_after",
    "invoiced_after",
    "held_after",
    "occurred_at",
    "posted_at",
    "description",
    "actor_kind",
)
# A command, and the number of the account it is for.
Step = tuple[int, Command]
Way = Callable[[World, Sequence[Order], datetime], list[str]]


def flow(dice: random.Random) -> Iterator[tuple[datetime, list[Step]]]:
    """The commands, in stretches that happen at one time."""
    now, left, records = BEGIN, COMMANDS, 0
    reservations: list[tuple[int, str]] = []
    while left:
        size = min(left, dice.randrange(1, 25))
        stretch: list[Step] = []
        for _ in range(size):
            account, amount = dice.randrange(len(ACCOUNTS)), dice.randrange(1, 3 * UNIT)
            kind = dice.choice(("charge", "record", "reserve", "capture", "release"))
            command: Command
            if kind in ("charge", "record"):
                always = kind == "record" and dice.random() < 0.1
                if kind == "record" and dice.random() < 0.9:
                    records += 1
                source = f"record-{records}" if kind == "record" else None
                cost = dice.choice((0, UNIT // 7))
                command = Charge(amount, "Calls", cost, source, BEGIN, always)
            elif kind == "reserve" or not reservations:
                command = Reserve(ids.new("res"), amount, "A call", dice.randrange(1, 90))
                reservations.append((account, command.reservation_id))
            else:
                account, reservation_id = dice.choice(reservations[-8:])
                command = Release(reservation_id)
                if kind == "capture":
                    some = dice.choice((None, amount))
                    command = Capture(reservation_id, some, dice.random() < 0.7, UNIT // 9)
            stretch.append((account, command))
        yield now, stretch
        left -= size
        now += timedelta(seconds=dice.randrange(0, 60))


def one_by_one(world: World, orders: Sequence[Order], now: datetime) -> list[str]:
    return [code for order in orders for code in batch(world, [order], now)]


def batch(world: World, orders: Sequence[Order], now: datetime) -> list[str]:
    with world.database.transaction() as session:
        outcomes = engine.post(session, orders, now=now)
    return [each.code if isinstance(each, Refusal) else "posted" for each in outcomes]


def batches(world: World, orders: Sequence[Order], now: datetime) -> list[str]:
    return [
        code
        for start in range(0, len(orders), 7)
        for code in batch(world, orders[start : start + 7], now)
    ]


def groups(world: World, orders: Sequence[Order], now: datetime) -> list[str]:
    """Groups end at what has to be done on its own, as later commands may depend on it."""
    outcomes: list[str] = []
    while len(outcomes) < len(orders):
        left = orders[len(outcomes) :]
        size = next((n for n, order in enumerate(left) if is_record(order)), len(left))
        with world.database.transaction() as session:
            requests = [Request(each, key(), posted) for each in left[: min(size, 5)]]
            answers = engine.post_group(session, requests, now=now) if requests else []
            done = next((n for n, each in enumerate(answers) if each is None), len(answers))
            if any(answers[done:]):
                session.rollback()  # one by one, because something was skipped
                done = -1
        if done < 0:
            outcomes += one_by_one(world, left[: len(answers)], now)
        else:
            outcomes += ["posted"] * done
            outcomes += one_by_one(world, left[done : done + 1], now)
    return outcomes


def is_record(order: Order) -> bool:
    return isinstance(order.command, Charge) and order.command.source is not None


def key() -> RequestKey:
    return RequestKey(ids.new("evt"), ids.new("evt"), "")


def posted(outcome: Posted) -> Answer:
    return Answer(201, "text/plain", b"")


def run(database: Database, way: Way) -> tuple[list[str], list[Any]]:
    """The outcomes, and the books in the end, without what differs from run to run."""
    world = World(database, client=None)  # type: ignore[arg-type]
    orgs = [world.open(mode, limit) for mode, limit in ACCOUNTS]
    outcomes: list[str] = []
    renamed: dict[str, str] = {}
    for now, stretch in flow(random.Random(SEED)):
        orders = [
            Order(orgs[account], fresh(command, orgs[0], renamed), SYSTEM, world.provider_id)
            for account, command in stretch
        ]
        outcomes += way(world, orders, now)
    numbers = {new: n for n, new in enumerate(renamed.values())}
    return outcomes, [books(database, org, numbers) for org in orgs]


def fresh(command: Command, run: str, renamed: dict[str, str]) -> Command:
    """The command with ids of this run."""
    if isinstance(command, Charge):
        source = command.source and f"{run}-{command.source}"
        return command._replace(source=source)
    name = renamed.setdefault(command.reservation_id, ids.new("res"))
    return command._replace(reservation_id=name)


def books(database: Database, org: str, numbers: dict[str, int]) -> list[Any]:
    with database.reading() as session:
        account = session.get_one(Account, org)
        figures = (account.buckets, account.seq, account.on_wallet)
        entries = [
            [*(getattr(entry, name) for name in COLUMNS), numbers.get(entry.reservation_id or "")]
            for entry in session.scalars(
                select(Entry).where(Entry.organization_id == org).order_by(Entry.seq)
            )
        ]
        reservations = sorted(
            (numbers[each.id], each.amount, each.captured, each.released, each.status)
            for each in session.scalars(
                select(Reservation).where(Reservation.organization_id == org)
            )
        )
        spent = [
            (each.day, each.amount)
            for each in session.scalars(
                select(Spending).where(Spending.organization_id == org).order_by(Spending.day)
            )
        ]
    return [figures, entries, reservations, spent]


@pytest.mark.timeout(1800)
def test_every_way_ends_in_the_same_books(
    sqlite_database: Database, postgres_database: Database
) -> None:
    expected = run(sqlite_database, one_by_one)
    assert {"posted", "insufficient_credits", "record_id_reused"} < set(expected[0])
    for database in (sqlite_database, postgres_database):
        for way in (one_by_one, batches, groups):
            assert run(database, way) == expected, f"{way.__name__}, LEDGER_SEED={SEED}"
