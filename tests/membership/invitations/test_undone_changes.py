"""The changed address of a member is undone from the old one."""

import pytest
from chassis.runtime import clock
from contracts import org
from membership import jobs, models
from sqlalchemy import select

from tests.membership.invitations.conftest import MIA, NEW, OLGA, OTHER


def test_the_old_address_is_notified_and_can_take_the_login_back(setup):
    service, member_id = setup.service, setup.joined()
    before = setup.show(member_id)
    changed = setup.call("PATCH", f"/{member_id}", {"email": NEW}).json
    assert changed["status"] == "active" and changed["pending_email"] == NEW
    service.accept(NEW, OTHER)
    assert setup.show(member_id)["identity_id"] != before["identity_id"]
    theirs = service.log_in(NEW, OTHER)["access_token"]
    link = setup.undo_link()
    looked = service.call("GET", f"/v1/verifications/{link}").json
    assert (looked["purpose"], looked["email"], looked["password_required"]) == ("undo", MIA, False)
    assert setup.verify(link, token=theirs).json["code"] == "signed_in_as_another"
    assert setup.verify(link, {"password": OTHER}).status_code == 422
    undone = setup.verify(link)
    assert (undone.status_code, undone.json["email"], undone.json["member_id"]) == (
        201,
        MIA,
        member_id,
    )
    after = setup.show(member_id)
    assert service.is_revoked(theirs) and after == before
    assert after["last_signed_in_at"] is None, "not the other person's"
    assert service.log_in(MIA)["organization"]["id"] == setup.organization_id
    assert (
        service.call("POST", "/v1/sessions", {"email": NEW, "password": OTHER}).status_code == 401
    )
    [row] = setup.audited("email.change_undone")
    assert row.changes == [{"field": "email", "before": NEW, "after": MIA}]
    again = setup.verify(link)
    assert (again.status_code, again.json["code"]) == (410, "link_spent")


def test_an_unverified_former_address_is_not_notified(setup):
    member_id = setup.add().json["id"]
    setup.call("PATCH", f"/{member_id}", {"email": NEW})
    assert setup.mails(MIA, "/undo/") == []
    with setup.service.database.reading() as session:
        assert "mia@customer.example" not in session.scalars(select(models.Identity.email)).all()


def test_an_undo_link_expires_after_the_change_and_the_old_identity_is_erased(setup):
    service, member_id = setup.service, setup.joined()
    setup.call("PATCH", f"/{member_id}", {"email": NEW})
    link = setup.undo_link()
    service.accept(NEW, OTHER)

    def old():
        jobs.delete_expired(service.database, clock.now(), service.settings)
        with service.database.reading() as session:
            return session.scalars(
                select(models.Identity).where(models.Identity.email == MIA)
            ).all()

    service.clock.advance(days=7, seconds=-60)
    assert service.call("GET", f"/v1/verifications/{link}").status_code == 200 and len(old()) == 1
    service.clock.advance(seconds=61)
    assert setup.verify(link).status_code in (404, 410) and old() == []
    assert service.log_in(NEW, OTHER)


def test_members_elsewhere_are_not_erased_when_the_undo_link_expires(setup):
    service, member_id = setup.service, setup.joined()
    service.customer(MIA, name="Second", provider_id=setup.provider_id)
    service.accept(MIA)
    setup.call("PATCH", f"/{member_id}", {"email": NEW})
    service.accept(NEW, OTHER)
    service.clock.advance(days=8)
    jobs.delete_expired(service.database, clock.now(), service.settings)
    assert service.log_in(MIA)["organization"]["name"] == "Second"


def test_an_undo_link_does_not_enable_a_disabled_member(setup):
    service = setup.service
    disabled, removed, taken = (
        setup.joined(f"{name}@customer.example") for name in ("dan", "rob", "tom")
    )
    for member_id, name in ((disabled, "dan"), (removed, "rob"), (taken, "tom")):
        setup.call("PATCH", f"/{member_id}", {"email": f"{name}.new@customer.example"})
        service.accept(f"{name}.new@customer.example", OTHER)
    links = [setup.undo_link(f"{name}@customer.example") for name in ("dan", "rob", "tom")]
    setup.call("POST", f"/{disabled}/disable")
    setup.call("DELETE", f"/{removed}")
    assert setup.call("PATCH", f"/{taken}", {"portal_access": False}).status_code == 200
    refused = setup.verify(links[0])
    assert (refused.status_code, refused.json["code"]) == (409, "member_disabled")
    assert [setup.verify(link).status_code for link in links[1:]] == [410, 410]
    with service.database.reading() as session:
        addresses = set(session.scalars(select(models.Identity.email)))
    assert "dan@customer.example" in addresses
    assert addresses.isdisjoint({"rob@customer.example", "tom@customer.example"})
    setup.call("POST", f"/{disabled}/enable")
    assert setup.verify(links[0]).status_code == 201


def test_an_undo_link_does_not_make_one_person_two_members(setup):
    member_id = setup.joined()
    setup.call("PATCH", f"/{member_id}", {"email": NEW})
    link = setup.undo_link()
    setup.service.accept(NEW, OTHER)
    again = setup.add(MIA)
    assert again.status_code == 201
    assert setup.verify(link).status_code == 201
    assert setup.show(member_id)["email"] == MIA
    assert setup.call("GET", f"/{again.json['id']}").status_code == 404


def test_an_undo_link_does_not_give_a_higher_role(setup):
    member_id = setup.joined()
    setup.call("PATCH", f"/{member_id}", {"email": NEW})
    link = setup.undo_link()
    setup.service.accept(NEW, OTHER)
    setup.call("PATCH", f"/{member_id}", {"role": "admin"})
    refused = setup.verify(link)
    assert (refused.status_code, refused.json["code"]) == (409, "role_raised")
    setup.call("PATCH", f"/{member_id}", {"role": "member"})
    assert setup.verify(link).status_code == 201


@pytest.mark.parametrize("thief_is_first", [True, False])
def test_a_thief_who_moves_a_login_twice_cannot_take_it_back_from_its_owner(setup, thief_is_first):
    service = setup.service
    owner_id = service.claims(setup.owner)["mid"]
    for after in ("thief@evil.example", "thief2@evil.example"):
        assert (
            setup.call("PATCH", f"/{owner_id}", {"email": after}, token=setup.staff).status_code
            == 200
        )
        service.accept(after, OTHER)
    victims, thiefs = setup.undo_link(OLGA), setup.undo_link("thief@evil.example")
    if thief_is_first:
        assert setup.verify(thiefs).status_code == 201
    assert setup.verify(victims).status_code == 201
    assert setup.verify(thiefs).status_code in (404, 410)
    session = service.log_in(OLGA)
    assert session["role"] == "owner" and session["organization"]["id"] == setup.organization_id
    assert (
        service.call(
            "POST", "/v1/sessions", {"email": "thief@evil.example", "password": OTHER}
        ).status_code
        == 401
    )


def test_erasing_the_organization_erases_former_identities_too(setup):
    member_id = setup.joined()
    setup.call("PATCH", f"/{member_id}", {"email": NEW})
    setup.service.send_mails()
    setup.service.receive(org.EraseMembers(organization_id=setup.organization_id, deletion_id="d"))
    with setup.service.database.reading() as session:
        assert set(session.scalars(select(models.Identity.email))) == {None, "admin@example.com"}
