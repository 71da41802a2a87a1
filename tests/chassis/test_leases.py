"""Processes of one role share their work fairly, and take over from one that dies."""

from datetime import datetime, timedelta

import pytest
from chassis.db.database import Database
from chassis.db.leases import LENGTH, Lease, Leases
from sqlalchemy import select

from tests.chassis.messages import NOON

pytestmark = pytest.mark.both_databases
PARTS = [str(number) for number in range(8)]
STEP = LENGTH / 2


def settle(processes: list[Leases], now: datetime) -> datetime:
    """Let each process renew twice; returns the time afterwards."""
    for _ in range(2):
        now += STEP
        for process in processes:
            process.renew(now)
    return now


def shares(processes: list[Leases], now: datetime) -> list[int]:
    held = [process.held(now) for process in processes]
    parts = [part for each in held for part in each]
    assert len(parts) == len(set(parts)), "two processes hold one part"
    return sorted(len(each) for each in held)


@pytest.mark.parametrize(
    ("processes", "expected"), [(1, [8]), (3, [2, 3, 3]), (5, [1, 1, 2, 2, 2]), (9, [0] + [1] * 8)]
)
def test_shares_differ_by_one_at_most(
    database: Database, processes: int, expected: list[int]
) -> None:
    running = [Leases(database, "work", PARTS) for _ in range(processes)]

    now = settle(running, NOON)

    assert shares(running, now) == expected


def test_the_parts_of_a_dead_process_are_taken_over(database: Database) -> None:
    dead, alive = Leases(database, "work", PARTS), Leases(database, "work", PARTS)
    now = settle([dead, alive], NOON)

    alive.renew(now + STEP)
    assert len(alive.held(now + STEP)) == 4, "its lease has not run out"
    alive.renew(now + LENGTH)

    assert len(alive.held(now + LENGTH)) == 8


def test_a_process_that_stops_gives_its_parts_away_at_once(database: Database) -> None:
    stopped, other = Leases(database, "work", PARTS), Leases(database, "work", PARTS)
    now = settle([stopped, other], NOON)

    stopped.release(now)
    other.renew(now)

    assert len(other.held(now)) == 8


def test_who_lost_a_part_without_noticing_no_longer_holds_it(database: Database) -> None:
    frozen, other = Leases(database, "work", PARTS), Leases(database, "work", PARTS)
    frozen.renew(NOON)
    other.renew(NOON + LENGTH)

    with database.reading() as session:
        still = session.scalars(select(Lease.part).where(frozen.still_held())).all()
        others = session.scalars(select(Lease.part).where(other.still_held())).all()

    assert (still, sorted(others)) == ([], PARTS)


def test_kinds_of_work_are_shared_separately(database: Database) -> None:
    one, other = Leases(database, "work", PARTS), Leases(database, "more", ["a"])

    one.renew(NOON)
    other.renew(NOON)

    assert (len(one.held(NOON)), dict(other.held(NOON))) == (8, {"a": 1})


def test_leases_are_renewed_when_half_of_their_time_is_over(database: Database) -> None:
    process = Leases(database, "work", PARTS)
    process.held(NOON)

    process.held(NOON + STEP - timedelta(microseconds=1))
    with database.reading() as session:
        assert session.scalar(select(Lease.until).limit(1)) == NOON + LENGTH
    process.held(NOON + STEP)

    with database.reading() as session:
        ends = session.scalars(select(Lease.until)).all()
    assert set(ends) == {NOON + STEP + LENGTH}
