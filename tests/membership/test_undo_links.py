"""Nobody keeps the holder of an address from undoing a change, or takes along what was sent to an
address that is not theirs any more."""

import re

import pytest
from contracts import membership as messages
from membership import models
from membership.actions import cleanup
from sqlalchemy import select

from tests.membership.conftest import MembershipService
from tests.membership.test_email_changes import MIA, NEW, OLGA, OTHER, World, own, prepared_world

THIEF, VICTIM = "thief@evil.example", "victim@new.example"


@pytest.fixture
def world(service: MembershipService) -> World:
    return prepared_world(service)


def members(world: World, organization_id: str) -> set[tuple[str | None, str, str]]:
    with world.service.database.reading() as session:
        query = select(models.Member).where(models.Member.organization_id == organization_id)
        return {(m.email, m.role, m.status) for m in session.scalars(query)}


def audited(world: World, organization_id: str) -> list[str]:
    rows = world.service.published(messages.AuditRecorded)
    return [row.action for row in rows if row.organization_id == organization_id]


def test_a_thief_cannot_keep_a_login_by_inviting_the_old_address_to_the_same_organization(
    world: World,
) -> None:
    assert own(world, {"email": THIEF}, world.olga) == (200, None)
    assert world.use(world.service.link(THIEF)) == (201, None)
    undo = world.undo_link(OLGA)
    world.invite(OLGA)
    invitation = world.service.link(OLGA)

    assert world.use(undo) == (201, None)

    assert audited(world, world.first)[-2:] == ["member.removed", "email.change_undone"]
    assert world.logs_in(OLGA) and not world.logs_in(THIEF)
    assert world.use(invitation, {"password": OTHER}) == (410, "link_spent")
    assert (OLGA, "owner", "active") in members(world, world.first)


def test_staff_cannot_keep_a_membership_by_inviting_the_old_address_again(world: World) -> None:
    owner_id = world.service.claims(world.olga)["mid"]
    for member_id, email in ((owner_id, OLGA), (world.mia, MIA)):
        assert world.change(THIEF, member_id, world.staff).status_code == 200
        undo = world.undo_link(email)
        assert world.use(world.service.link(THIEF), {"password": OTHER})[0] in (201, 422)
        world.invite(email, token=world.staff)

        assert world.use(undo) == (201, None)

        shown = world.call("GET", world.path(member_id), token=world.staff).json
        assert (shown["email"], shown["verified"]) == (email, True)
    assert {row for row in members(world, world.first) if row[2] == "active"} == {
        (OLGA, "owner", "active"),
        (MIA, "member", "active"),
    }


def test_the_audit_log_tells_that_a_withdrawn_invitation_was_disabled(world: World) -> None:
    world.change(THIEF)
    undo = world.undo_link()
    assert world.use(world.service.link(THIEF), {"password": OTHER}) == (201, None)
    path = world.path(world.invite(MIA))
    assert world.call("POST", f"{path}/disable", token=world.olga).status_code == 200

    assert world.use(undo) == (201, None)

    rows = world.service.published(messages.AuditRecorded)
    [removed] = [row for row in rows if row.action == "member.removed"]
    assert removed.changes == [{"field": "status", "before": "disabled", "after": "removed"}]


def test_an_invitation_that_was_accepted_is_not_withdrawn(world: World) -> None:
    world.change(THIEF)
    undo = world.undo_link()
    assert world.use(world.service.link(THIEF), {"password": OTHER}) == (201, None)
    world.invite(MIA)
    world.service.accept(MIA)
    assert world.use(undo) == (409, "member_exists")


def test_invitations_stay_with_the_address_that_they_were_sent_to(world: World) -> None:
    third = world.service.customer(VICTIM, name="Third", provider_id=world.provider_id)
    invitation = world.service.link(VICTIM)
    token = world.service.log_in(MIA, organization_id=world.first)["access_token"]
    for way_out in ("undo", "another address"):
        assert own(world, {"email": VICTIM}, token) == (200, None)
        assert world.use(world.service.link(VICTIM)) == (201, None)
        if way_out == "undo":
            assert world.use(world.undo_link()) == (201, None)
            token = world.service.log_in(MIA, organization_id=world.first)["access_token"]
        else:
            assert own(world, {"email": THIEF}, token) == (200, None)
            assert world.use(world.service.link(THIEF)) == (201, None)

        assert members(world, third) == {(VICTIM, "owner", "pending")}
        mine = world.call("GET", "/v1/me/organizations", token=token).json["own"]
        assert "Third" not in [one["name"] for one in mine]
    assert world.use(invitation, {"password": OTHER}) == (201, None)
    assert world.logs_in(VICTIM, OTHER, third) and world.logs_in(THIEF)


def test_who_only_invited_a_person_does_not_learn_that_they_change_their_address(
    world: World,
) -> None:
    third, eve = world.service.owner("eve@third.example", provider_id=world.provider_id)
    world.invite(MIA, third, eve)
    invitation, known = world.service.link(MIA), audited(world, third)
    token = world.service.log_in(MIA, organization_id=world.first)["access_token"]
    assert own(world, {"email": NEW}, token) == (200, None)
    assert audited(world, third) == known
    assert world.use(world.service.link(NEW)) == (201, None)
    assert audited(world, third) == known
    assert (MIA, "member", "pending") in members(world, third)
    assert world.use(world.undo_link()) == (201, None)
    assert audited(world, third) == known
    assert "eve@third.example" not in [to for to, _ in world.reports()]
    assert world.use(invitation) == (201, None), "it still works"


def test_an_own_address_that_is_invited_to_the_same_organization_is_refused_at_the_link(
    world: World,
) -> None:
    world.invite(NEW)
    invitation = world.service.link(NEW)
    token = world.service.log_in(MIA, organization_id=world.first)["access_token"]
    assert own(world, {"email": NEW}, token) == (200, None)
    assert world.use(world.service.link(NEW)) == (409, "member_exists")
    assert world.use(invitation, {"password": OTHER}) == (201, None)


def test_cancelling_a_change_does_not_confirm_an_admin_whom_staff_made(world: World) -> None:
    world.change(NEW, token=world.staff)
    undo = world.undo_link()
    raised = world.call("PATCH", world.path(world.mia), {"role": "admin"}, token=world.staff)
    assert raised.json["confirmed"] is False
    assert world.use(undo) == (201, None)
    shown = world.call("GET", world.path(world.mia), token=world.olga).json
    assert (shown["pending_email"], shown["confirmed"]) == (None, False)


def test_a_change_that_waited_for_a_month_is_sent_again(world: World) -> None:
    world.change(NEW)
    world.service.send_mails()
    world.service.clock.advance(days=31)
    with world.service.database.transaction() as session:
        assert cleanup.delete_expired(session, now=world.service.clock.now()) > 0
    staff = world.service.log_in("admin@example.com")["access_token"]
    again = world.call("POST", world.path(world.mia) + "/resend-verification", token=staff)
    assert again.status_code == 200
    assert world.use(world.service.link(NEW), {"password": OTHER}) == (201, None)
    shown = world.call("GET", world.path(world.mia), token=staff).json
    assert (shown["email"], shown["confirmed"]) == (NEW, False)


def test_nothing_is_pending_once_the_person_has_moved_to_the_same_address(world: World) -> None:
    world.change(NEW)
    token = world.service.log_in(MIA, organization_id=world.first)["access_token"]
    assert own(world, {"email": NEW}, token) == (200, None)
    assert world.use(world.service.link(NEW)) == (201, None)
    assert (world.show()["email"], world.show()["pending_email"]) == (NEW, None)


# --- several changes, one after the other


def undo_links(world: World, to: str = MIA) -> list[str]:
    """All links to undo a change that this address got, oldest first."""
    sent = [mail.get_content() for mail in world.service.send_mails() if mail["To"] == to]
    return re.findall(r"https://app\.example/undo/(\S+)", "\n".join(sent))


def mia(world: World, organization_id: str = "") -> str:
    at = organization_id or world.second
    token: str = world.service.log_in(MIA, organization_id=at)["access_token"]
    return token


def prove(world: World, email: str) -> None:
    assert world.use(world.service.link(email), {})[0] == 201


@pytest.mark.parametrize("proved", [False, True], ids=["pending", "proved"])
def test_each_of_several_own_changes_can_be_undone_by_the_first_link(
    world: World, proved: bool
) -> None:
    token = mia(world)
    for address in (THIEF, "thief2@evil.example", "thief3@evil.example"):
        assert own(world, {"email": address}, token) == (200, None)
        if proved:
            prove(world, address)
        else:
            world.service.send_mails()
    first, *others = undo_links(world)

    assert len(others) == (0 if proved else 2)
    assert world.use(first) == (201, None)

    assert world.logs_in(MIA) and world.show()["pending_email"] is None
    assert [world.use(link) for link in others] == [(410, "link_spent")] * len(others)
    assert world.use(world.service.link("thief3@evil.example")) == (410, "link_spent")


def test_each_of_several_changes_by_others_can_be_undone_by_the_first_link(world: World) -> None:
    for address in (THIEF, "thief2@evil.example", "thief3@evil.example"):
        assert world.change(address).status_code == 200
        world.service.send_mails()
    first, second, third = undo_links(world)

    assert world.use(first) == (201, None)

    assert world.show()["pending_email"] is None
    assert [world.use(link) for link in (second, third)] == [(410, "link_spent")] * 2


def taken(world: World) -> list[str]:
    """Staff move the membership, then a thief with Mia's session moves her login. Returns the links
    that Mia gets."""
    token = mia(world)
    assert world.change("thief2@evil.example", token=world.staff).status_code == 200
    link = world.service.link("thief2@evil.example")
    assert world.use(link, {"password": OTHER}) == (201, None)
    assert own(world, {"email": THIEF}, token) == (200, None)
    prove(world, THIEF)
    assert not world.logs_in(MIA)
    return undo_links(world)


def mine_again(world: World) -> bool:
    shown = world.call("GET", world.path(world.mia), token=world.olga).json
    return (
        (shown["email"], shown["verified"]) == (MIA, True)
        and world.logs_in(MIA, organization_id=world.first)
        and world.logs_in(MIA, organization_id=world.second)
        and not world.logs_in(THIEF)
    )


def test_a_thief_who_then_moves_the_login_does_not_void_the_first_link(world: World) -> None:
    of_the_membership, of_the_login = taken(world)
    seen = world.call("GET", f"/v1/verifications/{of_the_membership}").json
    assert (seen["purpose"], seen["email"]) == ("undo", MIA)

    assert world.use(of_the_membership) == (201, None)

    assert mine_again(world)
    assert world.use(of_the_login) == (410, "link_spent"), "nothing is left to undo"
    assert {to for to, _ in world.reports()} >= {OLGA, "sam@second.example", "admin@example.com"}


def test_the_first_link_works_after_the_second_was_used(world: World) -> None:
    of_the_membership, of_the_login = taken(world)
    assert world.use(of_the_login) == (201, None)
    assert world.use(of_the_membership) == (201, None)
    assert mine_again(world)


def test_an_invitation_meanwhile_does_not_void_the_first_link(world: World) -> None:
    of_the_membership, _ = taken(world)
    world.invite(MIA)
    world.service.customer(MIA, name="Evil", provider_id=world.provider_id)
    assert world.use(of_the_membership) == (201, None)
    assert mine_again(world)


def test_a_change_that_was_only_pending_is_cancelled_by_the_first_link(world: World) -> None:
    token = mia(world)
    assert world.change("thief2@evil.example", token=world.staff).status_code == 200
    pending = world.service.link("thief2@evil.example")
    assert own(world, {"email": THIEF}, token) == (200, None)
    prove(world, THIEF)
    assert world.use(undo_links(world)[0]) == (201, None)
    assert mine_again(world) and world.show()["pending_email"] is None
    assert world.use(pending, {"password": OTHER}) == (410, "link_spent")


def test_who_takes_the_login_back_is_told_of_memberships_that_were_moved_since(
    world: World,
) -> None:
    assert own(world, {"email": THIEF}, mia(world)) == (200, None)
    prove(world, THIEF)
    assert world.change("thief2@evil.example", token=world.staff).status_code == 200
    link = world.service.link("thief2@evil.example")
    assert world.use(link, {"password": OTHER}) == (201, None)
    (thiefs,), (of_the_login,) = undo_links(world, THIEF), undo_links(world)

    assert world.use(of_the_login) == (201, None)

    assert world.use(thiefs) == (410, "link_spent"), "it was not sent to Mia"
    assert world.use(undo_links(world)[-1]) == (201, None)
    assert mine_again(world)


def test_a_person_without_a_membership_is_erased_when_the_undo_link_has_expired(
    world: World,
) -> None:
    """Also one whose own address was changed meanwhile."""
    path = world.path(world.mia_elsewhere, world.second)
    assert world.call("DELETE", path, token=world.sam).status_code == 204
    assert own(world, {"email": NEW}, mia(world, world.first)) == (200, None)
    proof = world.service.link(NEW)
    assert world.change(THIEF).status_code == 200
    assert world.use(world.service.link(THIEF), {"password": OTHER}) == (201, None)
    assert world.use(proof) == (201, None)

    def old() -> set[str | None]:
        with world.service.database.transaction() as session:
            cleanup.erase_former_identities(session, now=world.service.clock.now())
            return set(session.scalars(select(models.Identity.email))) & {MIA, NEW}

    assert old() == {NEW}
    world.service.clock.advance(days=7, seconds=1)
    assert old() == set()
