"""People leave an organization themselves, and see who else is in it."""

import pytest
from membership import models
from sqlalchemy import func, select

from tests.databases import counted
from tests.membership.test_removal import MIA, joined, stored
from tests.membership.test_security import switch_on

MEMBERSHIPS = "/v1/me/memberships"


@pytest.fixture
def acme(service):
    """A customer: its id, its owner's token, Mia's path and her session."""
    staff = service.provider()
    organization_id, owner = service.owner(provider_id=service.claims(staff)["org"])
    path = joined(service, organization_id, owner)
    return organization_id, owner, path, service.log_in(MIA, organization_id=organization_id)


def leave(service, token, organization_id):
    answer = service.call("DELETE", f"{MEMBERSHIPS}/{organization_id}", token=token)
    return answer.status_code, (answer.json or {}).get("code") if answer.data else None


def test_who_leaves_the_only_organization_is_erased(service, acme):
    organization_id, owner, path, session = acme

    assert leave(service, session["access_token"], organization_id) == (204, None)

    assert service.is_revoked(session["access_token"])
    assert service.call("GET", path, token=owner).status_code == 404
    assert MIA not in stored(service, models.Identity.email)
    assert joined(service, organization_id, owner) != path, "the address is free"


def test_another_organization_is_left_from_here(service, acme):
    organization_id, _, _, session = acme
    second_id, sam = service.owner("sam@second.example", name="Second")
    joined(service, second_id, sam)

    assert leave(service, session["access_token"], second_id) == (204, None)

    assert not service.is_revoked(session["access_token"])
    assert leave(service, session["access_token"], second_id) == (404, "not_found")
    own = service.call("GET", "/v1/me/organizations", token=session["access_token"]).json["own"]
    assert [organization["id"] for organization in own] == [organization_id]


def test_neither_the_owner_nor_strangers_nor_support_leave(service, acme):
    organization_id, owner, path, _ = acme
    staff = service.log_in("admin@example.com")["access_token"]
    assert leave(service, owner, organization_id) == (409, "owner_must_transfer")
    assert leave(service, staff, organization_id) == (404, "not_found"), "staff are not members"
    assert leave(service, staff, "org_nonsense") == (404, "not_found")
    acting = service.call("POST", f"{path}/login-as", {"reason": "r"}, token=staff)
    assert leave(service, acting.json["access_token"], organization_id) == (403, "forbidden")
    assert service.call("GET", path, token=owner).status_code == 200


def test_members_see_names_and_roles_of_each_other(service, acme):
    organization_id, owner, path, session = acme
    members = f"/v1/organizations/{organization_id}/members"
    token = session["access_token"]
    pending = service.call("PATCH", "/v1/me", {"email": "olga@new.example"}, token=owner)
    assert pending.json["identity"]["pending_email"] == "olga@new.example"

    olga, mia = sorted(
        service.call("GET", members, token=token).json["data"], key=lambda m: m["role"] != "owner"
    )

    visible = {name for name, value in olga.items() if value is not None}
    assert visible == {"id", "organization_id", "name", "given_name", "family_name", "role"}
    assert mia["email"] == MIA and mia["mfa"] is False, "of oneself, everything"
    assert service.call("GET", f"{members}/{olga['id']}", token=token).json == olga
    answers = [
        service.call("GET", f"{members}?{query}", token=token)
        for query in ("q=customer.example", "q=olga", "status=active", "portal_access=true")
    ]
    assert [len(answer.json.get("data", ())) for answer in answers] == [0, 1, 0, 0]
    assert [answer.status_code for answer in answers] == [200, 200, 422, 422]
    assert service.call("POST", f"{path}/disable", token=token).status_code == 403
    assert service.call("GET", f"{members}?q=customer.example", token=owner).json["data"]


def test_who_manages_members_sees_second_factors_and_sign_ins(service, acme):
    organization_id, owner, path, _ = acme
    second_id, sam = service.owner("sam@second.example", name="Second")
    there = joined(service, second_id, sam)
    before = service.call("GET", there, token=sam).json
    assert (before["mfa"], before["last_signed_in_at"]) == (False, None), "signed in only at Acme"
    switch_on(service, service.log_in(MIA, organization_id=organization_id)["access_token"])

    here = service.call("GET", path, token=owner).json
    assert here["mfa"] is True and here["last_signed_in_at"]
    listed = service.call("GET", f"/v1/organizations/{second_id}/members", token=sam).json["data"]
    assert [(m["mfa"], m["last_signed_in_at"] is None) for m in listed] == [
        (True, True),
        (False, False),
    ]
    body = {
        "name": "Max",
        "portal_access": True,
        "role": "member",
        "email": "olga@customer.example",
    }
    invited = service.call("POST", f"/v1/organizations/{second_id}/members", body, token=sam).json
    switch_on(service, owner)
    path = f"/v1/organizations/{second_id}/members/{invited['id']}"
    assert service.call("GET", path, token=sam).json["mfa"] is False, "nothing before they join"


def test_the_list_takes_no_statement_per_member(service, acme):
    organization_id, owner, _, _ = acme
    members = f"/v1/organizations/{organization_id}/members"

    def statements():
        with counted(service.database) as seen:
            assert service.call("GET", members, token=owner).status_code == 200
        return len(seen)

    few = statements()
    for number in range(3):
        body = {"name": f"Desk {number}", "portal_access": False}
        assert service.call("POST", members, body, token=owner).status_code == 201
    assert statements() == few
    with service.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(models.Member)) > 4
