"""What was deleted is purged."""

from datetime import timedelta

import pytest
from chassis.errors import Gone
from contracts import billing, membership, org
from org import models

from tests.org.conftest import NOON, World
from tests.org.sagas.requests import BLOCKER, GRACE, activate, purge_due


@pytest.mark.parametrize(("seconds", "purged"), [(-1, 0), (0, 1), (1, 1)])
def test_the_purge_starts_when_it_is_due(world: World, seconds: int, purged: int) -> None:
    customer = world.active()
    deletion_id = world.schedule_deletion(customer)

    assert purge_due(world, NOON + GRACE + timedelta(seconds=seconds)) == purged

    assert world.deletion(customer).status == ("purging" if purged else "scheduled")
    assert [m.deletion_id for m in world.published(org.SealAccount)] == [deletion_id] * purged


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_either_activation_or_purge_is_possible_never_both(world: World, seconds: int) -> None:
    customer = world.active()
    world.schedule_deletion(customer)
    at = NOON + GRACE + timedelta(seconds=seconds)

    try:
        activate(world, customer, at)
        activated = True
    except Gone:
        activated = False

    assert activated == (seconds < 0)
    assert purge_due(world, at) == (0 if activated else 1)


def test_a_purge_leaves_a_tombstone(world: World) -> None:
    customer = world.active()
    deletion_id = world.schedule_deletion(customer)
    purge_due(world, NOON + GRACE)

    world.consume(billing.AccountSealed(organization_id=customer, deletion_id=deletion_id))
    assert [m.deletion_id for m in world.published(org.EraseMembers)] == [deletion_id]
    assert world.organization(customer).status == "suspended_for_deletion"
    world.consume(membership.MembersErased(organization_id=customer, deletion_id=deletion_id))

    assert world.organization(customer).status == "deleted"
    assert world.organization(customer).owner == {}
    assert world.deletion(customer).status == "completed"
    assert len(world.published(org.OrganizationDeleted)) == 1
    world.consume(membership.MembersErased(organization_id=customer, deletion_id=deletion_id))
    assert len(world.published(org.OrganizationDeleted)) == 1


def test_an_organization_being_purged_cannot_be_activated(world: World) -> None:
    customer = world.active()
    world.schedule_deletion(customer)
    purge_due(world, NOON + GRACE)

    with pytest.raises(models.GraceOver):
        activate(world, customer, NOON)

    assert purge_due(world, NOON + GRACE * 2) == 0


def test_a_blocked_purge_is_tried_again_the_next_day(
    world: World,
) -> None:
    customer = world.active()
    deletion_id = world.schedule_deletion(customer)
    at = NOON + GRACE
    purge_due(world, at)

    world.reply(
        billing.AccountNotSealed(
            organization_id=customer, deletion_id=deletion_id, blockers=[BLOCKER]
        ),
        at,
    )

    assert world.deletion(customer).status == "scheduled"
    assert world.deletion(customer).blockers[0]["code"] == "credits_left"
    assert purge_due(world, at + timedelta(hours=23)) == 0
    assert purge_due(world, at + timedelta(hours=24)) == 1
    with pytest.raises(models.GraceOver):
        activate(world, customer, at + timedelta(hours=25))
