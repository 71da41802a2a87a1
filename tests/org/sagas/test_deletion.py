"""A deletion is requested, refused or scheduled."""

import pytest
from contracts import billing, membership, org
from org import sagas

from tests.org.conftest import NOON, STAFF, World
from tests.org.sagas.requests import BLOCKER, GRACE, feed


def test_a_refused_deletion_keeps_the_blockers_and_restores_the_status(
    world: World,
) -> None:
    customer = world.active()
    deletion_id = world.request_deletion(customer)
    assert world.organization(customer).status == "closing"
    assert [m.deletion_id for m in world.published(org.CloseAccount)] == [deletion_id]

    world.consume(
        billing.AccountNotClosed(
            organization_id=customer, deletion_id=deletion_id, blockers=[BLOCKER]
        )
    )

    assert world.organization(customer).status == "active"
    assert world.deletion(customer).status == "refused"
    assert world.deletion(customer).blockers == [
        {"code": "credits_left", "amount": "5.00", "currency": "EUR"}
    ]
    assert [m.blockers for m in world.published(org.DeletionRefused)] == [[BLOCKER]]
    assert feed(world, customer) == []


def test_a_refused_deletion_of_a_suspended_customer_restores_suspended(world: World) -> None:
    customer = world.active()
    world.run(sagas.start_suspension, organization_id=customer, now=NOON, by=STAFF, reason="unpaid")
    deletion_id = world.request_deletion(customer)

    world.consume(
        billing.AccountNotClosed(
            organization_id=customer, deletion_id=deletion_id, blockers=[BLOCKER]
        )
    )

    assert world.organization(customer).status == "suspended"


def test_a_deletion_closes_the_account_ends_access_and_is_scheduled(world: World) -> None:
    customer = world.active()
    deletion_id = world.request_deletion(customer)

    world.consume(billing.AccountClosed(organization_id=customer, deletion_id=deletion_id))

    assert [m.deletion_id for m in world.published(org.EndAccess)] == [deletion_id]
    assert world.organization(customer).status == "closing"
    assert feed(world, customer) == ["closed"]

    world.consume(membership.AccessEnded(organization_id=customer, deletion_id=deletion_id))

    organization, deletion = world.organization(customer), world.deletion(customer)
    assert organization.status == "suspended_for_deletion"
    assert deletion.status == "scheduled"
    assert organization.purge_at == deletion.purge_at == deletion.confirmed_at + GRACE
    assert len(world.published(org.DeletionScheduled)) == 1


def test_a_second_request_returns_the_same_deletion(world: World) -> None:
    customer = world.active()

    assert world.request_deletion(customer) == world.request_deletion(customer)
    assert len(world.published(org.CloseAccount)) == 1


def test_replies_to_a_refused_deletion_do_not_touch_a_new_one(
    world: World,
) -> None:
    customer = world.active()
    first = world.request_deletion(customer)
    world.consume(
        billing.AccountNotClosed(organization_id=customer, deletion_id=first, blockers=[BLOCKER])
    )
    second = world.request_deletion(customer)

    world.consume(billing.AccountClosed(organization_id=customer, deletion_id=first))
    world.consume(
        billing.AccountNotClosed(organization_id=customer, deletion_id=first, blockers=[BLOCKER])
    )

    assert world.organization(customer).status == "closing"
    assert world.deletion(customer).id == second
    assert world.deletion(customer).status == "asked"
    assert world.published(org.EndAccess) == []


def test_the_first_of_two_different_replies_counts(world: World) -> None:
    customer = world.active()
    deletion_id = world.request_deletion(customer)
    world.consume(billing.AccountClosed(organization_id=customer, deletion_id=deletion_id))

    world.consume(
        billing.AccountNotClosed(
            organization_id=customer, deletion_id=deletion_id, blockers=[BLOCKER]
        )
    )

    assert world.organization(customer).status == "closing"
    assert world.deletion(customer).status == "asked"


@pytest.mark.parametrize("before", ["active", "suspended"])
def test_an_account_closed_after_the_deletion_was_refused_is_reopened(
    world: World, before: str
) -> None:
    customer = world.active()
    world.set_status(customer, before)
    deletion_id = world.request_deletion(customer)
    world.consume(
        billing.AccountNotClosed(
            organization_id=customer, deletion_id=deletion_id, blockers=[BLOCKER]
        )
    )

    world.consume(billing.AccountClosed(organization_id=customer, deletion_id=deletion_id))

    (request,) = world.published(org.ReopenAccount)
    assert request.frozen is (before == "suspended")
    world.consume(
        billing.AccountReopened(organization_id=customer, conversation_id=request.conversation_id)
    )
    world.consume(
        membership.AccessRestored(organization_id=customer, conversation_id=request.conversation_id)
    )
    assert world.organization(customer).status == before


@pytest.mark.parametrize("status", ["closing", "suspended_for_deletion", "deleted"])
def test_a_late_account_closed_reopens_nothing_that_is_being_deleted(
    world: World, status: str
) -> None:
    customer = world.active()
    deletion_id = world.request_deletion(customer)
    world.consume(
        billing.AccountNotClosed(
            organization_id=customer, deletion_id=deletion_id, blockers=[BLOCKER]
        )
    )
    world.set_status(customer, status)

    world.consume(billing.AccountClosed(organization_id=customer, deletion_id=deletion_id))

    assert world.published(org.ReopenAccount) == []


def test_repeated_replies_schedule_once(world: World) -> None:
    customer = world.active()
    deletion_id = world.schedule_deletion(customer)
    before = world.organization(customer).purge_at

    world.consume(billing.AccountClosed(organization_id=customer, deletion_id=deletion_id))
    world.consume(membership.AccessEnded(organization_id=customer, deletion_id=deletion_id))

    assert world.organization(customer).purge_at == before
    assert len(world.published(org.DeletionScheduled)) == 1
