"""Transfers that are refused, repeated or of another tenant."""

from chassis.runtime import ids
from membership.actions import member_roles

from tests.membership.transfers.conftest import code


def test_members_who_cannot_become_the_owner(setup):
    service, path = setup.service, f"/v1/organizations/{setup.organization_id}/members"
    desk = service.call(
        "POST", path, {"name": "Desk", "portal_access": False}, token=setup.owner
    ).json["id"]
    late = {
        "name": "Late",
        "portal_access": True,
        "role": "member",
        "email": "late@customer.example",
    }
    pending = service.call("POST", path, late, token=setup.owner).json["id"]
    service.call("POST", f"{path}/{setup.adam}/disable", token=setup.owner)
    gone, _ = setup.joined("gone@customer.example")
    service.call("DELETE", f"{path}/{gone}", token=setup.owner)
    stranger = service.claims(service.owner("sam@other.example", name="Other")[1])["mid"]
    for token in (setup.owner, setup.staff):
        for member_id in (desk, pending, setup.adam):
            assert code(setup.transfer(member_id, token=token)) == (409, "member_not_eligible")
        for member_id in (gone, stranger, ids.new("mem")):
            assert code(setup.transfer(member_id, token=token)) == (404, "not_found")
        assert code(setup.transfer(setup.olga, token=token)) == (409, "already_owner")
        for body in (
            {"member_id": setup.mia},
            {"member_id": "mem_x", "reason": "r"},
            {"member_id": setup.mia, "reason": " "},
            {"member_id": setup.mia, "reason": "r" * 501},
            {"member_id": setup.mia, "reason": "r", "at_once": True},
        ):
            assert setup.call("POST", "", body, token=token).status_code == 422
    assert setup.owners() == [setup.olga]


def test_a_member_who_is_no_longer_eligible_cannot_accept(setup):
    offer = setup.offer()
    path = f"/v1/organizations/{setup.organization_id}/members/{setup.mia}"
    setup.service.call("POST", f"{path}/disable", token=setup.owner)
    assert code(setup.call("POST", f"/{offer}/accept", token=setup.member)) == (
        409,
        "member_not_eligible",
    )
    assert setup.call("GET").json["data"][0]["status"] == "offered"


def test_the_admin_limit_applies(setup, monkeypatch):
    monkeypatch.setattr(member_roles, "MAX_ADMINS", 1)
    offer = setup.offer()
    for answer in (
        setup.transfer(setup.mia, token=setup.staff),
        setup.call("POST", f"/{offer}/accept", token=setup.member),
    ):
        assert code(answer) == (409, "admin_limit")
    first = setup.at_once(setup.adam)
    assert setup.roles() == {setup.olga: "admin", setup.mia: "member", setup.adam: "owner"}
    path = f"/v1/organizations/{setup.organization_id}/members"
    for member_id, role in ((setup.olga, "member"), (setup.mia, "admin")):
        assert (
            setup.service.call(
                "PATCH", f"{path}/{member_id}", {"role": role}, token=setup.staff
            ).status_code
            == 200
        )
    assert code(setup.call("DELETE", f"/{first}", token=setup.staff)) == (409, "admin_limit")
    assert setup.owners() == [setup.adam]


def test_only_its_owner_offers_the_providers_ownership(setup):
    service = setup.service
    home = {"organization_id": setup.provider_id}
    max_id, manager = setup.joined("max@provider.example", preset="manager", **home)
    assert code(setup.transfer(max_id, token=manager, **home)) == (403, "forbidden")
    offered = setup.transfer(max_id, token=setup.staff, **home).json
    assert (offered["status"], offered["by"], offered["follow_up"]) == ("offered", "owner", [])
    assert code(setup.call("DELETE", f"/{offered['id']}", token=manager, **home)) == (
        403,
        "forbidden",
    )
    assert setup.call("POST", f"/{offered['id']}/accept", token=manager, **home).status_code == 200
    assert service.log_in("max@provider.example")["role"] == "owner"
    assert service.log_in("admin@example.com")["role"] == "manager"


def test_another_tenants_transfers_do_not_exist(setup):
    offer = setup.offer()
    other_id, other = setup.service.owner(
        "sam@other.example", name="Other", provider_id=ids.new("org")
    )
    assert setup.call("GET", token=other).status_code == 404
    assert setup.transfer(setup.mia, token=other).status_code == 404
    assert setup.call("DELETE", f"/{offer}", token=other).status_code == 404
    elsewhere = {"organization_id": other_id, "token": other}
    for transfer_id in (offer, "grt_x", ids.new("grt"), ids.new("mem"), "x" * 300):
        assert setup.call("DELETE", f"/{transfer_id}", **elsewhere).status_code == 404
        assert setup.call("POST", f"/{transfer_id}/accept", **elsewhere).status_code == 404


def test_the_same_idempotency_key_is_the_same_transfer(setup):
    key = {"headers": {"Idempotency-Key": "k"}}
    first, again = (setup.transfer(setup.mia, token=setup.staff, **key) for _ in range(2))
    assert first.json == again.json and again.headers["Idempotent-Replayed"] == "true"
    assert len(setup.call("GET", token=setup.staff).json["data"]) == 1


def test_the_list_is_paged(setup):
    made = [setup.at_once(m) for m in (setup.mia, setup.adam, setup.olga)]
    page = setup.call("GET", "?limit=2", token=setup.staff).json
    rest = setup.call("GET", f"?limit=2&cursor={page['next_cursor']}", token=setup.staff).json
    assert [row["id"] for row in page["data"] + rest["data"]] == made[::-1] and not rest["has_more"]
