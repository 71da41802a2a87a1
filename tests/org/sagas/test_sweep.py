"""Requests without a reply are sent again; old revocations are deleted."""

from datetime import timedelta

from contracts import billing, org
from org import actions, sagas
from org.models import Revocation
from sqlalchemy import select

from tests.org.conftest import NOON, STAFF, World
from tests.org.sagas.requests import BLOCKER


def test_requests_without_a_reply_are_sent_again_with_growing_delays(world: World) -> None:
    world.customer()

    def sent_until(seconds: int) -> int:
        world.run(sagas.resend_requests, now=NOON + timedelta(seconds=seconds))
        return len(world.published(org.OpenAccount))

    assert [sent_until(s) for s in (29, 30, 31, 89, 90, 179, 180)] == [1, 2, 2, 2, 3, 3, 4]


def test_a_finished_saga_sends_nothing_again(world: World) -> None:
    customer = world.active()
    deletion_id = world.request_deletion(customer)
    world.reply(
        billing.AccountNotClosed(
            organization_id=customer, deletion_id=deletion_id, blockers=[BLOCKER]
        ),
        NOON,
    )

    assert world.run(sagas.resend_requests, now=NOON + timedelta(days=1)) == 0


def test_replies_to_both_sendings_count_once(world: World) -> None:
    customer = world.customer()
    world.run(sagas.resend_requests, now=NOON + timedelta(minutes=1))

    world.consume(billing.AccountOpened(organization_id=customer))
    world.consume(billing.AccountOpened(organization_id=customer))

    assert len(world.published(org.InviteOwner)) == 1


def test_revocations_are_deleted_when_no_token_can_be_valid(world: World) -> None:
    customer = world.active()
    world.run(sagas.start_suspension, organization_id=customer, now=NOON, by=STAFF, reason="unpaid")

    world.run(actions.revoke, organization_id=customer, state="open", now=NOON)

    assert world.run(actions.delete_expired_revocations, now=NOON + timedelta(minutes=60)) == 0
    assert world.run(actions.delete_expired_revocations, now=NOON + timedelta(minutes=66)) == 1


def test_the_numbers_of_revocations_are_never_assigned_again(world: World) -> None:
    customer = world.active()
    late = NOON + timedelta(hours=2)
    for state, at in (("closed", NOON), ("open", NOON), ("closed", NOON)):
        world.run(actions.revoke, organization_id=customer, state=state, now=at)

    world.run(actions.delete_expired_revocations, now=late)
    world.run(actions.revoke, organization_id=customer, state="open", now=late)

    with world.database.reading() as session:
        assert [
            row.seq for row in session.scalars(select(Revocation).order_by(Revocation.seq))
        ] == [3, 4]
