"""Concurrent reservations on one account, on PostgreSQL."""

import threading
from datetime import timedelta

import pytest
from billing import actions, queries
from billing.actions.ledger.refusals import (
    AccountClosed,
    InsufficientCredits,
    ReservationExpired,
    ReservationSettled,
)
from billing.models import Account, Entry, Reservation
from chassis import audit
from chassis.runtime import clock
from sqlalchemy import func, select, text

from tests.billing.conftest import CLERK
from tests.billing.test_concurrency import THREADS, at_once, charge

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def reserve(world, org, amount, times=1, **more):
    """A task that tries so many times; returns how often it succeeded."""

    def task():
        done = 0
        for _ in range(times):
            try:
                act(
                    world,
                    actions.reserve,
                    by=CLERK,
                    organization_id=org,
                    amount=amount,
                    description="x",
                    expires_in=60,
                    **more,
                )
                done += 1
            except InsufficientCredits:
                pass
        return done

    return task


def act(world, action, **arguments):
    with world.database.transaction() as session:
        return action(session, **{"now": clock.now(), **arguments})


def state(world, org):
    """The account, the amount its open reservations hold, and the numbers of its journal."""
    held = func.sum(Reservation.amount - Reservation.captured - Reservation.released)
    with world.database.reading() as session:
        return (
            session.get_one(Account, org),
            int(session.scalar(select(held).where(Reservation.organization_id == org))),
            session.scalars(
                select(Entry.seq).where(Entry.organization_id == org).order_by(Entry.seq)
            ).all(),
        )


@pytest.mark.parametrize("mode", ["prepaid", "postpaid"])
def test_exactly_as_many_reservations_succeed_as_the_limit_covers(world, mode):
    org = world.open(mode, limit="10")
    done = at_once(*[reserve(world, org, 300_000, times=4) for _ in range(THREADS)])
    account, held, seqs = state(world, org)
    assert (sum(done), held, account.held, seqs) == (33, 9_900_000, 9_900_000, list(range(1, 34)))


@pytest.mark.parametrize("mode", ["prepaid", "postpaid"])
def test_concurrent_reservations_and_charges_get_exactly_what_the_limit_covers(world, mode):
    org = world.open(mode, limit="10")
    half = THREADS // 2
    done = at_once(
        *[reserve(world, org, 300_000, times=5) for _ in range(half)],
        *[charge(world, org, 300_000, times=5) for _ in range(half)],
    )
    account, held, seqs = state(world, org)
    assert sum(done) == 33 and seqs == list(range(1, 34))
    assert (account.held, held, account.unbilled - account.prepaid) == (
        sum(done[:half]) * 300_000,
        account.held,
        sum(done[half:]) * 300_000,
    )


@pytest.mark.parametrize("again", range(8))
def test_an_account_is_never_closed_with_a_reservation(world, again):
    org = world.open(limit="10")

    def close():
        act(world, actions.close_account, organization_id=org, deletion_id="d1")

    before, after = (again, 7 - again)
    tasks = [*[reserve(world, org, 1)] * before, close, *[reserve(world, org, 1)] * after]
    responses = at_once(*tasks)
    with world.database.reading() as session:
        account = session.get_one(Account, org)
    published = [
        name for name, _ in world.published(org) if name in ("account_closed", "account_not_closed")
    ]
    if account.status == "closed":
        assert (account.held, published, sum(isinstance(a, AccountClosed) for a in responses)) == (
            0,
            ["account_closed"],
            7,
        )
    else:
        assert (account.held, published, sum(a for a in responses if a)) == (
            7,
            ["account_not_closed"],
            7,
        )


@pytest.mark.parametrize("again", range(6))
def test_a_reservation_ends_once(world, again):
    org = world.open(limit="10")
    made = act(
        world,
        actions.reserve,
        by=CLERK,
        organization_id=org,
        amount=8,
        description="x",
        expires_in=60,
    )["id"]
    this = {"organization_id": org, "reservation_id": made}
    at_its_end = clock.now() + timedelta(seconds=61)
    ways = [
        *[lambda: act(world, actions.capture, by=CLERK, **this)] * 3,
        *[lambda: act(world, actions.release, by=CLERK, **this)] * 3,
        *[lambda: act(world, actions.expire_reservations, now=at_its_end)] * 2,
    ]
    responses = at_once(*ways[again:], *ways[:again])
    with world.database.reading() as session:
        reservation, account = (
            session.get_one(Reservation, (org, made)),
            session.get_one(Account, org),
        )
    ended = [response for response in responses if isinstance(response, dict)]
    assert len(ended) == (reservation.status != "expired")
    assert all(
        isinstance(a, dict | int | ReservationSettled | ReservationExpired) for a in responses
    )
    assert (account.held, reservation.captured + reservation.released, account.seq) == (
        0,
        8,
        3 if reservation.status == "captured" else 2,
    )


def test_concurrent_partial_captures_never_exceed_the_reservation(world):
    org = world.open(limit="10")
    made = act(
        world,
        actions.reserve,
        by=CLERK,
        organization_id=org,
        amount=10,
        description="x",
        expires_in=60,
    )["id"]
    responses = at_once(
        *[
            lambda: act(
                world,
                actions.capture,
                by=CLERK,
                organization_id=org,
                reservation_id=made,
                amount=3,
                final=False,
            )
        ]
        * 8
    )
    with world.database.reading() as session:
        reservation, account = (
            session.get_one(Reservation, (org, made)),
            session.get_one(Account, org),
        )
    assert sum(isinstance(response, dict) for response in responses) == 3
    assert (reservation.captured, reservation.status, account.held, account.prepaid) == (
        9,
        "open",
        1,
        -9,
    )


def test_the_job_skips_locked_accounts(world):
    locked, free = world.open(limit="10"), world.open(limit="10")
    now = clock.now()
    for org in (locked, free):
        act(
            world,
            actions.reserve,
            by=CLERK,
            organization_id=org,
            amount=1,
            description="x",
            expires_in=1,
        )
    with world.database.transaction() as session:
        queries.get_account(session, locked, lock=True)
        act(world, actions.expire_reservations, now=now + timedelta(seconds=2))
    assert [state(world, org)[1] for org in (locked, free)] == [1, 0]
    act(world, actions.expire_reservations, now=now + timedelta(seconds=2))
    assert state(world, locked)[1] == 0


def test_concurrent_jobs_expire_everything_once(world):
    now = clock.now()
    orgs = [world.open(limit="10") for _ in range(6)]
    for org in orgs * 3:
        act(
            world,
            actions.reserve,
            by=CLERK,
            organization_id=org,
            amount=1,
            description="x",
            expires_in=1,
        )
    later = now + timedelta(seconds=5)

    def expire_due():
        while act(world, actions.expire_reservations, now=later, limit=4):
            pass

    assert at_once(*[expire_due] * 4) == [None] * 4
    expire_due()
    for org in orgs:
        account, held, seqs = state(world, org)
        assert (account.held, held, seqs) == (0, 0, list(range(1, 7)))
        assert [name for name, _ in world.published(org)].count("reservation_expired") == 3


def test_expiry_during_a_charge_does_not_deadlock(world):
    """A denial holds the audit log and is about to publish; the charge publishes what expired and
    is about to be audited."""
    org = world.open(limit="10")
    act(
        world,
        actions.reserve,
        by=CLERK,
        organization_id=org,
        amount=10 * 10**6,
        description="x",
        expires_in=1,
    )
    later = clock.now() + timedelta(seconds=2)
    responses = []

    def charge_later():
        responses.append(
            act(
                world,
                actions.charge,
                organization_id=org,
                amount=1,
                kind="one_off",
                description="x",
                now=later,
                by=CLERK,
            )
        )

    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    charging = threading.Thread(target=charge_later)
    with world.database.transaction() as session:
        audit.records.lock_heads(session, [org])
        charging.start()
        while charging.is_alive() and not _scalar(world, waiting):
            threading.Event().wait(0.01)
        actions.record_denial(
            session, organization_id=org, operation="account.top_up", by=CLERK, now=clock.now()
        )
    charging.join(120)
    assert [response["kind"] for response in responses] == ["one_off"]


def _scalar(world, query):
    with world.database.reading() as session:
        return session.scalar(query)
