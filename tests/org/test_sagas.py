"""The long conversations as dialogues: what is asked, what is answered, what follows; late and
repeated replies."""

from datetime import timedelta
from typing import Any

import pytest
from chassis.errors import Gone
from contracts import billing, membership, org, parts
from org import actions, models, sagas
from org.models import Revocation
from sqlalchemy import select

from tests.org.conftest import NOON, STAFF, World, owner

LEFT = parts.Blocker(code="credits_left", amount="5.00", currency="EUR")
GRACE = timedelta(days=30)


def feed(world: World, one: str) -> list[str]:
    with world.database.reading() as session:
        query = (
            select(Revocation.state)
            .where(Revocation.organization_id == one)
            .order_by(Revocation.seq)
        )
        return list(session.scalars(query))


def purge_due(world: World, at: Any) -> int:
    return world.act(sagas.purge_due, now=at)


def activate(world: World, one: str, at: Any = NOON) -> Any:
    return world.act(sagas.start_reactivation, organization_id=one, now=at, by=STAFF)


# ---- opening


def test_opening_asks_billing_then_membership_and_then_is_active(world: World) -> None:
    one = world.customer()
    (asked,) = world.said(org.OpenAccount)
    assert (asked.organization_id, asked.payment_mode, asked.currency) == (one, "prepaid", "EUR")
    assert world.said(org.InviteOwner) == []

    world.hear(billing.AccountOpened(organization_id=one))

    (invited,) = world.said(org.InviteOwner)
    assert invited.email == "olga@acme.example"
    assert world.found(one).status == "provisioning"

    world.hear(membership.OwnerInvited(organization_id=one, owner=owner()))

    assert world.found(one).status == "active"
    assert world.found(one).owner["verified"] is True
    assert [m.organization_id for m in world.said(org.OrganizationActivated)] == [one]


def test_replies_to_an_opening_that_come_again_or_too_early_change_nothing(world: World) -> None:
    one = world.customer()

    world.hear(membership.OwnerInvited(organization_id=one, owner=owner()))
    assert world.found(one).status == "provisioning"
    for _ in range(2):
        world.hear(billing.AccountOpened(organization_id=one))
    for _ in range(2):
        world.hear(membership.OwnerInvited(organization_id=one, owner=owner()))

    assert len(world.said(org.InviteOwner)) == 1
    assert len(world.said(org.OrganizationActivated)) == 1


# ---- deletion


def test_a_deletion_that_is_refused_leaves_the_organization_as_it_was_with_the_reasons(
    world: World,
) -> None:
    one = world.active()
    wish = world.asked(one)
    assert world.found(one).status == "closing"
    assert [m.deletion_id for m in world.said(org.CloseAccount)] == [wish]

    world.hear(billing.AccountNotClosed(organization_id=one, deletion_id=wish, blockers=[LEFT]))

    assert world.found(one).status == "active"
    assert world.deletion(one).status == "refused"
    assert world.deletion(one).blockers == [
        {"code": "credits_left", "amount": "5.00", "currency": "EUR"}
    ]
    assert [m.blockers for m in world.said(org.DeletionRefused)] == [[LEFT]]
    assert feed(world, one) == []


def test_a_deletion_refused_from_suspended_returns_to_suspended(world: World) -> None:
    one = world.active()
    world.act(
        actions.suspend_organization, organization_id=one, now=NOON, by=STAFF, reason="unpaid"
    )
    wish = world.asked(one)

    world.hear(billing.AccountNotClosed(organization_id=one, deletion_id=wish, blockers=[LEFT]))

    assert world.found(one).status == "suspended"


def test_a_deletion_closes_the_account_ends_the_access_and_is_scheduled(world: World) -> None:
    one = world.active()
    wish = world.asked(one)

    world.hear(billing.AccountClosed(organization_id=one, deletion_id=wish))

    assert [m.deletion_id for m in world.said(org.EndAccess)] == [wish]
    assert world.found(one).status == "closing"
    assert feed(world, one) == ["closed"]

    world.hear(membership.AccessEnded(organization_id=one, deletion_id=wish))

    found, deletion = world.found(one), world.deletion(one)
    assert found.status == "suspended_for_deletion"
    assert deletion.status == "scheduled"
    assert found.purge_at == deletion.purge_at == deletion.confirmed_at + GRACE
    assert len(world.said(org.DeletionScheduled)) == 1


def test_asking_again_gives_the_same_deletion(world: World) -> None:
    one = world.active()

    assert world.asked(one) == world.asked(one)
    assert len(world.said(org.CloseAccount)) == 1


def test_after_a_refusal_a_new_deletion_can_be_asked_for_and_old_replies_do_not_touch_it(
    world: World,
) -> None:
    one = world.active()
    first = world.asked(one)
    world.hear(billing.AccountNotClosed(organization_id=one, deletion_id=first, blockers=[LEFT]))
    second = world.asked(one)

    world.hear(billing.AccountClosed(organization_id=one, deletion_id=first))
    world.hear(billing.AccountNotClosed(organization_id=one, deletion_id=first, blockers=[LEFT]))

    assert world.found(one).status == "closing"
    assert world.deletion(one).id == second
    assert world.deletion(one).status == "asked"
    assert world.said(org.EndAccess) == []


def test_two_different_replies_are_settled_by_the_first(world: World) -> None:
    one = world.active()
    wish = world.asked(one)
    world.hear(billing.AccountClosed(organization_id=one, deletion_id=wish))

    world.hear(billing.AccountNotClosed(organization_id=one, deletion_id=wish, blockers=[LEFT]))

    assert world.found(one).status == "closing"
    assert world.deletion(one).status == "asked"


@pytest.mark.parametrize("before", ["active", "suspended"])
def test_an_account_closed_after_the_deletion_was_refused_is_reopened(
    world: World, before: str
) -> None:
    one = world.active()
    world.put(one, before)
    wish = world.asked(one)
    world.hear(billing.AccountNotClosed(organization_id=one, deletion_id=wish, blockers=[LEFT]))

    world.hear(billing.AccountClosed(organization_id=one, deletion_id=wish))

    (asked,) = world.said(org.ReopenAccount)
    assert asked.frozen is (before == "suspended")
    world.hear(billing.AccountReopened(organization_id=one, conversation_id=asked.conversation_id))
    world.hear(
        membership.AccessRestored(organization_id=one, conversation_id=asked.conversation_id)
    )
    assert world.found(one).status == before


@pytest.mark.parametrize("status", ["closing", "suspended_for_deletion", "deleted"])
def test_an_old_word_of_a_closed_account_brings_nothing_back_that_is_going(
    world: World, status: str
) -> None:
    one = world.active()
    wish = world.asked(one)
    world.hear(billing.AccountNotClosed(organization_id=one, deletion_id=wish, blockers=[LEFT]))
    world.put(one, status)

    world.hear(billing.AccountClosed(organization_id=one, deletion_id=wish))

    assert world.said(org.ReopenAccount) == []


def test_repeated_replies_schedule_once_and_keep_the_first_purge_at(world: World) -> None:
    one = world.active()
    wish = world.scheduled(one)
    before = world.found(one).purge_at

    world.hear(billing.AccountClosed(organization_id=one, deletion_id=wish))
    world.hear(membership.AccessEnded(organization_id=one, deletion_id=wish))

    assert world.found(one).purge_at == before
    assert len(world.said(org.DeletionScheduled)) == 1


# ---- purge


@pytest.mark.parametrize(("seconds", "purged"), [(-1, 0), (0, 1), (1, 1)])
def test_the_purge_begins_at_its_moment_and_not_before(
    world: World, seconds: int, purged: int
) -> None:
    one = world.active()
    wish = world.scheduled(one)

    assert purge_due(world, NOON + GRACE + timedelta(seconds=seconds)) == purged

    assert world.deletion(one).status == ("purging" if purged else "scheduled")
    assert [m.deletion_id for m in world.said(org.SealAccount)] == [wish] * purged


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_at_every_moment_either_activation_or_purge_is_possible_and_never_both(
    world: World, seconds: int
) -> None:
    one = world.active()
    world.scheduled(one)
    at = NOON + GRACE + timedelta(seconds=seconds)

    try:
        activate(world, one, at)
        activated = True
    except Gone:
        activated = False

    assert activated == (seconds < 0)
    assert purge_due(world, at) == (0 if activated else 1)


def test_a_purge_ends_in_a_tombstone(world: World) -> None:
    one = world.active()
    wish = world.scheduled(one)
    purge_due(world, NOON + GRACE)

    world.hear(billing.AccountSealed(organization_id=one, deletion_id=wish))
    assert [m.deletion_id for m in world.said(org.EraseMembers)] == [wish]
    assert world.found(one).status == "suspended_for_deletion"
    world.hear(membership.MembersErased(organization_id=one, deletion_id=wish))

    assert world.found(one).status == "deleted"
    assert world.found(one).owner == {}
    assert world.deletion(one).status == "completed"
    assert len(world.said(org.OrganizationDeleted)) == 1
    world.hear(membership.MembersErased(organization_id=one, deletion_id=wish))
    assert len(world.said(org.OrganizationDeleted)) == 1


def test_while_purging_nothing_brings_the_organization_back(world: World) -> None:
    one = world.active()
    world.scheduled(one)
    purge_due(world, NOON + GRACE)

    with pytest.raises(models.GraceOver):
        activate(world, one, NOON)

    assert purge_due(world, NOON + GRACE * 2) == 0


def test_a_purge_that_finds_something_on_the_account_is_looked_at_again_tomorrow(
    world: World,
) -> None:
    one = world.active()
    wish = world.scheduled(one)
    at = NOON + GRACE
    purge_due(world, at)

    world.reply(
        billing.AccountNotSealed(organization_id=one, deletion_id=wish, blockers=[LEFT]), at
    )

    assert world.deletion(one).status == "scheduled"
    assert world.deletion(one).blockers[0]["code"] == "credits_left"
    assert purge_due(world, at + timedelta(hours=23)) == 0
    assert purge_due(world, at + timedelta(hours=24)) == 1
    with pytest.raises(models.GraceOver):
        activate(world, one, at + timedelta(hours=25))


# ---- reactivation


def test_a_suspended_customer_is_active_only_when_both_have_reopened(world: World) -> None:
    one = world.active()
    world.act(
        actions.suspend_organization, organization_id=one, now=NOON, by=STAFF, reason="unpaid"
    )
    activate(world, one)
    (asked,) = world.said(org.ReopenAccount)
    assert asked.frozen is False

    world.hear(billing.AccountReopened(organization_id=one, conversation_id=asked.conversation_id))
    (restore,) = world.said(org.RestoreAccess)
    assert world.found(one).status == "suspended"
    world.hear(
        membership.AccessRestored(organization_id=one, conversation_id=restore.conversation_id)
    )

    assert world.found(one).status == "active"
    assert feed(world, one) == ["closed", "open"]
    assert [m.status for m in world.said(org.OrganizationReactivated)] == ["active"]


def test_replies_of_an_earlier_reactivation_do_not_touch_this_one(world: World) -> None:
    one = world.active()
    for _ in range(2):
        world.act(
            actions.suspend_organization, organization_id=one, now=NOON, by=STAFF, reason="unpaid"
        )
        activate(world, one)
        if len(world.said(org.ReopenAccount)) == 1:
            first = world.said(org.ReopenAccount)[0].conversation_id
            world.hear(billing.AccountReopened(organization_id=one, conversation_id=first))
            world.hear(membership.AccessRestored(organization_id=one, conversation_id=first))

    world.hear(billing.AccountReopened(organization_id=one, conversation_id=first))
    world.hear(membership.AccessRestored(organization_id=one, conversation_id=first))

    assert world.found(one).status == "suspended"
    assert len(world.said(org.RestoreAccess)) == 1


@pytest.mark.parametrize("before", ["active", "suspended"])
def test_within_the_grace_the_organization_returns_to_what_it_was(
    world: World, before: str
) -> None:
    one = world.active()
    if before == "suspended":
        world.act(
            actions.suspend_organization, organization_id=one, now=NOON, by=STAFF, reason="unpaid"
        )
    wish = world.scheduled(one)

    activate(world, one, NOON + GRACE - timedelta(seconds=1))

    assert world.deletion(one).status == "cancelled"
    assert world.found(one).purge_at is None
    assert [m.deletion_id for m in world.said(org.DeletionCancelled)] == [wish]
    (asked,) = world.said(org.ReopenAccount)
    assert asked.frozen is (before == "suspended")
    talk = asked.conversation_id
    world.hear(billing.AccountReopened(organization_id=one, conversation_id=talk))
    world.hear(membership.AccessRestored(organization_id=one, conversation_id=talk))
    assert world.found(one).status == before
    assert feed(world, one)[-1] == ("open" if before == "active" else "closed")
    assert purge_due(world, NOON + GRACE * 2) == 0


def test_activating_twice_is_one_conversation(world: World) -> None:
    one = world.active()
    world.scheduled(one)

    activate(world, one)
    activate(world, one)

    assert len(world.said(org.ReopenAccount)) == 1


def test_no_deletion_begins_while_the_organization_is_being_reopened(world: World) -> None:
    one = world.active()
    world.act(
        actions.suspend_organization, organization_id=one, now=NOON, by=STAFF, reason="unpaid"
    )
    activate(world, one)

    with pytest.raises(models.ReactivationInProgress):
        world.asked(one)


def test_a_suspension_while_the_organization_is_being_reopened_is_refused_not_forgotten(
    world: World,
) -> None:
    one = world.active()
    world.act(
        actions.suspend_organization, organization_id=one, now=NOON, by=STAFF, reason="unpaid"
    )
    activate(world, one)

    with pytest.raises(models.ReactivationInProgress):
        world.act(
            actions.suspend_organization,
            organization_id=one,
            now=NOON,
            by=STAFF,
            reason="once more",
        )


def test_a_deletion_that_is_being_undone_is_not_taken_for_a_new_one(world: World) -> None:
    one = world.active()
    world.scheduled(one)
    activate(world, one)

    with pytest.raises(models.ReactivationInProgress):
        world.asked(one)


# ---- the clock


def test_whoever_does_not_answer_is_asked_again_ever_more_slowly(world: World) -> None:
    world.customer()

    def asked_until(seconds: int) -> int:
        world.act(sagas.resend_requests, now=NOON + timedelta(seconds=seconds))
        return len(world.said(org.OpenAccount))

    assert [asked_until(s) for s in (29, 30, 31, 89, 90, 179, 180)] == [1, 2, 2, 2, 3, 3, 4]


def test_a_conversation_that_has_ended_is_not_asked_again(world: World) -> None:
    one = world.active()
    wish = world.asked(one)
    world.reply(
        billing.AccountNotClosed(organization_id=one, deletion_id=wish, blockers=[LEFT]), NOON
    )

    assert world.act(sagas.resend_requests, now=NOON + timedelta(days=1)) == 0


def test_an_answer_to_the_second_asking_counts_as_one(world: World) -> None:
    one = world.customer()
    world.act(sagas.resend_requests, now=NOON + timedelta(minutes=1))

    world.hear(billing.AccountOpened(organization_id=one))
    world.hear(billing.AccountOpened(organization_id=one))

    assert len(world.said(org.InviteOwner)) == 1


def test_voided_tokens_are_forgotten_when_none_can_be_alive(world: World) -> None:
    one = world.active()
    world.act(
        actions.suspend_organization, organization_id=one, now=NOON, by=STAFF, reason="unpaid"
    )

    world.act(actions.revoke, organization_id=one, state="open", now=NOON)

    assert world.act(actions.delete_expired_revocations, now=NOON + timedelta(minutes=60)) == 0
    assert world.act(actions.delete_expired_revocations, now=NOON + timedelta(minutes=66)) == 1


def test_the_numbers_of_voided_tokens_are_never_given_out_again(world: World) -> None:
    one = world.active()
    late = NOON + timedelta(hours=2)
    for state, at in (("closed", NOON), ("open", NOON), ("closed", NOON)):
        world.act(actions.revoke, organization_id=one, state=state, now=at)

    world.act(actions.delete_expired_revocations, now=late)
    world.act(actions.revoke, organization_id=one, state="open", now=late)

    with world.database.reading() as session:
        assert [
            row.seq for row in session.scalars(select(Revocation).order_by(Revocation.seq))
        ] == [3, 4]
