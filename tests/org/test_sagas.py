"""Sagas: request, reply and what follows; late and repeated replies; the sweep."""

from datetime import timedelta
from typing import Any

import pytest
from chassis.errors import Gone
from contracts import billing, membership, org, parts
from org import actions, models, sagas
from org.models import Revocation
from sqlalchemy import select

from tests.org.conftest import NOON, STAFF, World, owner

BLOCKER = parts.Blocker(code="credits_left", amount="5.00", currency="EUR")
GRACE = timedelta(days=30)


def feed(world: World, customer: str) -> list[str]:
    with world.database.reading() as session:
        query = (
            select(Revocation.state)
            .where(Revocation.organization_id == customer)
            .order_by(Revocation.seq)
        )
        return list(session.scalars(query))


def purge_due(world: World, at: Any) -> int:
    return world.run(sagas.purge_due, now=at)


def activate(world: World, customer: str, at: Any = NOON) -> Any:
    return world.run(sagas.start_reactivation, organization_id=customer, now=at, by=STAFF)


# ---- opening


def test_opening_requests_the_account_then_the_owner_and_activates(world: World) -> None:
    customer = world.customer()
    (request,) = world.published(org.OpenAccount)
    assert (request.organization_id, request.payment_mode, request.currency) == (
        customer,
        "prepaid",
        "EUR",
    )
    assert world.published(org.InviteOwner) == []

    world.consume(billing.AccountOpened(organization_id=customer))

    (invited,) = world.published(org.InviteOwner)
    assert invited.email == "olga@acme.example"
    assert world.organization(customer).status == "provisioning"

    world.consume(membership.OwnerInvited(organization_id=customer, owner=owner()))

    assert world.organization(customer).status == "active"
    assert world.organization(customer).owner["verified"] is True
    assert [m.organization_id for m in world.published(org.OrganizationActivated)] == [customer]


def test_repeated_and_early_replies_to_an_opening_change_nothing(world: World) -> None:
    customer = world.customer()

    world.consume(membership.OwnerInvited(organization_id=customer, owner=owner()))
    assert world.organization(customer).status == "provisioning"
    for _ in range(2):
        world.consume(billing.AccountOpened(organization_id=customer))
    for _ in range(2):
        world.consume(membership.OwnerInvited(organization_id=customer, owner=owner()))

    assert len(world.published(org.InviteOwner)) == 1
    assert len(world.published(org.OrganizationActivated)) == 1


# ---- deletion


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


# ---- purge


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


# ---- reactivation


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


# ---- suspension


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


# ---- the sweep


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
