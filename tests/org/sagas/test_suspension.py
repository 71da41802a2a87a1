"""A suspension is asked for until it is confirmed."""

from datetime import timedelta

from contracts import billing, membership, org
from org import sagas

from tests.org.conftest import NOON, STAFF, World
from tests.org.sagas.requests import BLOCKER, activate


def suspend(world: World, customer: str, reason: str = "unpaid") -> None:
    world.run(sagas.start_suspension, organization_id=customer, now=NOON, by=STAFF, reason=reason)


def confirm_suspension(world: World, customer: str) -> None:
    conversation_id = world.published(org.FreezeAccount)[-1].conversation_id
    world.consume(billing.AccountFrozen(organization_id=customer, conversation_id=conversation_id))
    world.consume(
        membership.AccessSuspended(organization_id=customer, conversation_id=conversation_id)
    )


def requests_until(world: World, seconds: int) -> tuple[int, int]:
    """How often billing and membership have been asked to suspend."""
    world.run(sagas.resend_requests, now=NOON + timedelta(seconds=seconds))
    return len(world.published(org.FreezeAccount)), len(world.published(org.SuspendAccess))


def test_a_suspension_is_asked_for_until_both_services_have_confirmed_it(world: World) -> None:
    customer = world.active()

    suspend(world, customer)

    assert world.organization(customer).status == "suspended"
    assert len(world.published(org.OrganizationSuspended)) == 1
    assert [requests_until(world, s) for s in (29, 30, 89, 90)] == [(1, 0), (2, 0), (2, 0), (3, 0)]
    confirm_suspension(world, customer)
    assert requests_until(world, 24 * 3600) == (3, 1)


def test_a_suspension_that_membership_has_not_confirmed_is_asked_for_again(world: World) -> None:
    customer = world.active()
    suspend(world, customer)
    conversation_id = world.published(org.FreezeAccount)[0].conversation_id

    world.reply(
        billing.AccountFrozen(organization_id=customer, conversation_id=conversation_id), NOON
    )

    assert [requests_until(world, s) for s in (29, 30)] == [(1, 1), (1, 2)]


def test_suspending_twice_begins_one_saga(world: World) -> None:
    customer = world.active()
    suspend(world, customer)
    suspend(world, customer)
    confirm_suspension(world, customer)

    suspend(world, customer)

    assert (
        len(world.published(org.FreezeAccount)),
        len(world.published(org.OrganizationSuspended)),
    ) == (1, 1)


def test_activation_replaces_a_suspension_that_is_not_confirmed(world: World) -> None:
    customer = world.active()
    suspend(world, customer)

    activate(world, customer)
    confirm_suspension(world, customer)

    assert len(world.published(org.ReopenAccount)) == 1
    assert requests_until(world, 3600) == (1, 0)
    assert world.organization(customer).status == "suspended"


def test_a_suspension_is_confirmed_again_when_the_deletion_that_replaced_it_is_refused(
    world: World,
) -> None:
    customer = world.active()
    suspend(world, customer)
    deletion_id = world.request_deletion(customer)
    assert requests_until(world, 60) == (1, 0)

    world.consume(
        billing.AccountNotClosed(
            organization_id=customer, deletion_id=deletion_id, blockers=[BLOCKER]
        )
    )

    assert len(world.published(org.FreezeAccount)) == 2
    confirm_suspension(world, customer)
    assert len(world.published(org.SuspendAccess)) == 1
