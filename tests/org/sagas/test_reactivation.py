"""A suspended or deleted customer is activated again."""

from datetime import timedelta

import pytest
from contracts import billing, membership, org
from org import models, sagas

from tests.org.conftest import NOON, STAFF, World
from tests.org.sagas.requests import GRACE, activate, feed, purge_due


def test_a_suspended_customer_is_active_once_both_services_have_replied(world: World) -> None:
    customer = world.active()
    world.run(sagas.start_suspension, organization_id=customer, now=NOON, by=STAFF, reason="unpaid")
    activate(world, customer)
    (request,) = world.published(org.ReopenAccount)
    assert request.frozen is False

    world.consume(
        billing.AccountReopened(organization_id=customer, conversation_id=request.conversation_id)
    )
    (restore,) = world.published(org.RestoreAccess)
    assert world.organization(customer).status == "suspended"
    world.consume(
        membership.AccessRestored(organization_id=customer, conversation_id=restore.conversation_id)
    )

    assert world.organization(customer).status == "active"
    assert feed(world, customer) == ["closed", "open"]
    assert [m.status for m in world.published(org.OrganizationReactivated)] == ["active"]


def test_replies_of_an_earlier_reactivation_do_not_touch_this_one(world: World) -> None:
    customer = world.active()
    for _ in range(2):
        world.run(
            sagas.start_suspension,
            organization_id=customer,
            now=NOON,
            by=STAFF,
            reason="unpaid",
        )
        activate(world, customer)
        if len(world.published(org.ReopenAccount)) == 1:
            first = world.published(org.ReopenAccount)[0].conversation_id
            world.consume(billing.AccountReopened(organization_id=customer, conversation_id=first))
            world.consume(
                membership.AccessRestored(organization_id=customer, conversation_id=first)
            )

    world.consume(billing.AccountReopened(organization_id=customer, conversation_id=first))
    world.consume(membership.AccessRestored(organization_id=customer, conversation_id=first))

    assert world.organization(customer).status == "suspended"
    assert len(world.published(org.RestoreAccess)) == 1


@pytest.mark.parametrize("before", ["active", "suspended"])
def test_within_the_grace_period_activation_restores_the_previous_status(
    world: World, before: str
) -> None:
    customer = world.active()
    if before == "suspended":
        world.run(
            sagas.start_suspension,
            organization_id=customer,
            now=NOON,
            by=STAFF,
            reason="unpaid",
        )
    deletion_id = world.schedule_deletion(customer)

    activate(world, customer, NOON + GRACE - timedelta(seconds=1))

    assert world.deletion(customer).status == "cancelled"
    assert world.organization(customer).purge_at is None
    assert [m.deletion_id for m in world.published(org.DeletionCancelled)] == [deletion_id]
    (request,) = world.published(org.ReopenAccount)
    assert request.frozen is (before == "suspended")
    saga_id = request.conversation_id
    world.consume(billing.AccountReopened(organization_id=customer, conversation_id=saga_id))
    world.consume(membership.AccessRestored(organization_id=customer, conversation_id=saga_id))
    assert world.organization(customer).status == before
    assert feed(world, customer)[-1] == ("open" if before == "active" else "closed")
    assert purge_due(world, NOON + GRACE * 2) == 0


def test_activating_twice_begins_one_saga(world: World) -> None:
    customer = world.active()
    world.schedule_deletion(customer)

    activate(world, customer)
    activate(world, customer)

    assert len(world.published(org.ReopenAccount)) == 1


def test_no_deletion_begins_during_a_reactivation(world: World) -> None:
    customer = world.active()
    world.run(sagas.start_suspension, organization_id=customer, now=NOON, by=STAFF, reason="unpaid")
    activate(world, customer)

    with pytest.raises(models.ReactivationInProgress):
        world.request_deletion(customer)


def test_a_suspension_during_a_reactivation_is_refused(
    world: World,
) -> None:
    customer = world.active()
    world.run(sagas.start_suspension, organization_id=customer, now=NOON, by=STAFF, reason="unpaid")
    activate(world, customer)

    with pytest.raises(models.ReactivationInProgress):
        world.run(
            sagas.start_suspension,
            organization_id=customer,
            now=NOON,
            by=STAFF,
            reason="once more",
        )


def test_a_deletion_being_undone_is_not_returned_as_a_new_one(world: World) -> None:
    customer = world.active()
    world.schedule_deletion(customer)
    activate(world, customer)

    with pytest.raises(models.ReactivationInProgress):
        world.request_deletion(customer)
