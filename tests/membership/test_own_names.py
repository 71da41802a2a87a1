"""A person's name is their own; what an organization calls them is its label only."""

from typing import Any

import pytest
from contracts import membership as messages

from tests.membership.conftest import MembershipService

OLGA, MIA = "olga@customer.example", "mia@customer.example"
PASSWORD = "four calm otters drift"


class World:
    """Two customers of one provider; Mia is invited to both under different names."""

    def __init__(self, service: MembershipService) -> None:
        self.service = service
        self.staff = service.provider()
        provider_id = service.claims(self.staff)["org"]
        self.first, self.olga = service.owner(provider_id=provider_id)
        self.second, self.sam = service.owner("sam@second.example", provider_id=provider_id)

    def members(self, organization_id: str, path: str = "") -> str:
        return f"/v1/organizations/{organization_id}/members{path}"

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self.service.call(*args, **kwargs)

    def invite(self, organization_id: str, token: str, **names: str) -> dict[str, Any]:
        body = {"portal_access": True, "role": "member", "email": MIA, **names}
        added = self.call("POST", self.members(organization_id), body, token=token)
        assert added.status_code == 201, added.text
        return added.json

    def show(self, organization_id: str, member_id: str, token: str) -> dict[str, Any]:
        answer = self.call("GET", self.members(organization_id, f"/{member_id}"), token=token)
        return answer.json

    def join(self, **chosen: str) -> None:
        body = {"password": PASSWORD, **chosen}
        answer = self.call("POST", f"/v1/verifications/{self.service.link(MIA)}", body)
        assert answer.status_code == 201, answer.text


@pytest.fixture
def world(service: MembershipService) -> World:
    return service.prepared("own names", lambda: World(service))


def named(member: dict[str, Any]) -> tuple[str | None, ...]:
    return member["name"], member["given_name"], member["family_name"], member["label"]


def test_who_invites_first_does_not_name_a_person_elsewhere(world: World) -> None:
    lure = world.invite(world.first, world.olga, name="Claim your prize")
    assert named(lure) == ("Claim your prize", None, None, "Claim your prize")
    first_link = world.service.link(MIA)
    other = world.invite(world.second, world.sam, given_name="Mia", family_name="Smith")
    assert named(other) == ("Mia Smith", "Mia", "Smith", "Mia Smith")

    world.join()

    session = world.service.log_in(MIA)
    assert (session["identity"]["given_name"], session["identity"]["family_name"]) == (
        "Mia",
        "Smith",
    )
    joined = world.show(world.second, other["id"], world.sam)
    assert named(joined) == ("Mia Smith", "Mia", "Smith", None)
    waiting = world.show(world.first, lure["id"], world.olga)
    assert waiting["name"] == "Claim your prize", "and the first does not learn the own name"
    assert world.call("POST", f"/v1/verifications/{first_link}", {}).status_code == 201
    joined = world.show(world.first, lure["id"], world.olga)
    assert named(joined) == ("Mia Smith", "Mia", "Smith", "Claim your prize")


def test_a_person_chooses_their_name_when_they_join(world: World) -> None:
    member = world.invite(world.first, world.olga, name="M. Smith (sales)")

    world.join(given_name="Mia", family_name="Smith")

    joined = world.show(world.first, member["id"], world.olga)
    assert named(joined) == ("Mia Smith", "Mia", "Smith", "M. Smith (sales)")
    again = world.invite(world.second, world.sam, name="Mia")
    link = world.service.link(MIA)
    assert world.call("POST", f"/v1/verifications/{link}", {"given_name": "X"}).status_code == 201
    joined = world.show(world.second, again["id"], world.sam)
    assert joined["name"] == "Mia Smith", "only when they join for the first time"


def test_an_organization_renames_nobody_but_labels_them(world: World) -> None:
    member = world.invite(world.first, world.olga, given_name="Mia", family_name="Smith")
    world.join()
    mine = world.service.log_in(MIA)["access_token"]
    path = world.members(world.first, f"/{member['id']}")

    for body, label in (
        ({"name": "Desk 7"}, "Desk 7"),
        ({"given_name": "Maria"}, "Maria Smith"),
        ({"given_name": "Mia", "family_name": "Smith"}, None),
    ):
        changed = world.call("PATCH", path, body, token=world.staff)
        assert changed.status_code == 200, changed.text
        assert named(changed.json) == ("Mia Smith", "Mia", "Smith", label)
    world.call("PATCH", path, {"name": "Ärger"}, token=world.olga)
    listed = world.call("GET", world.members(world.first) + "?q=mia+smith", token=world.olga).json
    assert [m["label"] for m in listed["data"]] == ["Ärger"]
    listed = world.call("GET", world.members(world.first), token=world.olga).json["data"]
    assert [m["label"] or m["name"] for m in listed] == ["Olga Owner", "Ärger"]
    assert world.call("GET", "/v1/me", token=mine).json["identity"]["given_name"] == "Mia"
    stale = world.call("PATCH", path, {"name": "X"}, token=world.olga, headers={"If-Match": '"a"'})
    assert stale.status_code == 412


def test_a_person_renames_themselves_in_all_organizations(world: World) -> None:
    first = world.invite(world.first, world.olga, given_name="Mia", family_name="Smith")
    world.join()
    second = world.invite(world.second, world.sam, name="The new one")
    world.service.accept(MIA)
    mine = world.service.log_in(MIA)["access_token"]

    renamed = world.call("PATCH", "/v1/me", {"family_name": "Jones"}, token=mine)

    assert renamed.status_code == 200, renamed.text
    assert renamed.json["identity"]["family_name"] == "Jones"
    assert named(world.show(world.first, first["id"], world.olga)) == (
        "Mia Jones",
        "Mia",
        "Jones",
        None,
    )
    assert named(world.show(world.second, second["id"], world.sam)) == (
        "Mia Jones",
        "Mia",
        "Jones",
        "The new one",
    )
    assert world.call("PATCH", "/v1/me", {}, token=mine).status_code == 200
    refused = world.call("PATCH", "/v1/me", {"given_name": "\u200b"}, token=mine)
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/given_name")


def test_an_owner_who_renames_themselves_is_renamed_in_other_services(world: World) -> None:
    own = world.service.claims(world.olga)["mid"]

    for call in (
        ("PATCH", "/v1/me", {"given_name": "Olga Maria"}),
        ("PATCH", world.members(world.first, f"/{own}"), {"given_name": "Olenka"}),
    ):
        assert world.call(*call, token=world.olga).status_code == 200
        owner = world.service.published(messages.MembersChanged)[-1].owner
        assert (owner.given_name, owner.family_name) == (call[2]["given_name"], "Owner")

    world.call("PATCH", world.members(world.first, f"/{own}"), {"name": "Boss"}, token=world.staff)
    assert world.service.published(messages.MembersChanged)[-1].owner.given_name == "Olenka"


def test_an_admin_changes_their_own_name_but_not_that_of_other_admins(world: World) -> None:
    mine, other = (
        world.call(
            "POST",
            world.members(world.first),
            {"name": "A", "portal_access": True, "role": "admin", "email": f"{a}@customer.example"},
            token=world.olga,
        ).json["id"]
        for a in ("ann", "ben")
    )
    world.service.accept("ann@customer.example")
    ann = world.service.log_in("ann@customer.example")["access_token"]
    path = world.members(world.first)

    for member_id, body, status in (
        (mine, {"name": "Ann"}, 200),
        (mine, {"name": "Ann", "role": "member"}, 403),
        (other, {"name": "Ben"}, 403),
    ):
        assert world.call("PATCH", f"{path}/{member_id}", body, token=ann).status_code == status
    assert world.call("GET", "/v1/me", token=ann).json["identity"]["given_name"] == "Ann"


def test_staff_who_act_for_a_person_do_not_rename_them(world: World) -> None:
    own = world.service.claims(world.olga)["mid"]
    path = world.members(world.first, f"/{own}")
    acting = world.call("POST", f"{path}/login-as", {"reason": "T-1"}, token=world.staff)
    token = acting.json["access_token"]

    assert world.call("PATCH", "/v1/me", {"given_name": "X"}, token=token).status_code == 403
    changed = world.call("PATCH", path, {"name": "Boss"}, token=token)

    assert (changed.json["name"], changed.json["label"]) == ("Olga Owner", "Boss")


def test_mail_greets_by_the_own_name_only(world: World) -> None:
    world.invite(world.first, world.olga, given_name="Mia", family_name="Smith")
    world.join()
    member = world.invite(world.second, world.sam, given_name="Click", family_name="Here")
    world.call(
        "PATCH", world.members(world.second, f"/{member['id']}"), {"role": "admin"}, token=world.sam
    )
    world.service.accept(MIA)
    world.call("POST", "/v1/password-resets", {"email": MIA})
    offered = {"member_id": member["id"], "reason": "T-1"}
    path = f"/v1/organizations/{world.second}/ownership-transfers"
    assert world.call("POST", path, offered, token=world.staff).status_code == 201

    greetings = {
        m["Subject"].split()[0]: m.get_content().splitlines()[0]
        for m in world.service.send_mails()
        if m["To"] == MIA
    }

    assert greetings == {"You're": "Hello Mia,", "Reset": "Hello Mia,"}


def test_who_loses_the_login_keeps_the_name_the_organization_gave(world: World) -> None:
    member = world.invite(world.first, world.olga, name="Desk 7")
    world.join(given_name="Mia")
    path = world.members(world.first, f"/{member['id']}")

    without = world.call("PATCH", path, {"portal_access": False}, token=world.olga).json

    assert named(without) == ("Desk 7", None, None, None)
    renamed = world.call("PATCH", path, {"name": "Desk 8"}, token=world.olga).json
    assert named(renamed) == ("Desk 8", None, None, None)


def test_nobody_calls_a_person_like_those_who_were_erased(world: World) -> None:
    """Neither by one field nor by two together, at whatever point."""
    members, base = world.members(world.first), {"portal_access": True, "role": "member"}
    parts = {"given_name": "Removed", "family_name": "Person"}
    for names in ({"name": "Removed person"}, parts):
        body = {**base, "email": MIA, **names}
        added = world.call("POST", members, body, token=world.olga)
        assert reserved(added), names
    desk = world.call("POST", members, {"name": "Desk", "portal_access": False}, token=world.olga)
    for names in ({"name": "Rem\u043eved person"}, parts):
        path = f"{members}/{desk.json['id']}"
        assert reserved(world.call("PATCH", path, names, token=world.olga)), names
    world.invite(world.first, world.olga, given_name="Mia", family_name="Person")
    path = f"/v1/verifications/{world.service.link(MIA)}"
    assert reserved(world.call("POST", path, {"password": PASSWORD, "given_name": "Removed"}))
    world.service.accept(MIA)
    mia = world.service.log_in(MIA)["access_token"]
    assert reserved(world.call("PATCH", "/v1/me", {"given_name": "REMOVED"}, token=mia))
    member_id = world.service.claims(mia)["mid"]
    label = {"given_name": "R\u0435moved"}
    path = f"{members}/{member_id}"
    assert reserved(world.call("PATCH", path, label, token=world.olga))
    key = {"name": "Removed person", "scopes": ["org:read"]}
    assert reserved(world.call("POST", "/v1/api-keys", key, token=world.olga))
    kept = world.call("PATCH", "/v1/me", {"given_name": "Remo"}, token=mia)
    assert kept.json["identity"]["given_name"] == "Remo"


def reserved(answer: Any) -> bool:
    codes = [error["code"] for error in answer.json.get("errors", [])]
    return bool(answer.status_code == 422 and codes == ["reserved"])
