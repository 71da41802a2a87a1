"""A change of address by somebody else ends with the access of who made it."""

from datetime import timedelta
from typing import Any

import pytest
from chassis.runtime import clock

from tests.membership.conftest import MembershipService
from tests.membership.test_email_changes import MIA, NEW, OTHER, World

ANN = "ann@customer.example"


class Made(World):
    """Ann, an admin of the first customer, has requested another address for Mia."""

    def __init__(self, service: MembershipService) -> None:
        super().__init__(service)
        admin = {"name": "Ann", "portal_access": True, "role": "admin", "email": ANN}
        self.ann = self.call("POST", self.path(), admin, token=self.olga).json["id"]
        service.accept(ANN)
        token = service.log_in(ANN)["access_token"]
        assert self.change(NEW, token=token).status_code == 200

    def prove(self) -> tuple[int, str | None]:
        return self.use(self.service.link(NEW), {"password": OTHER})


@pytest.fixture
def world(service: MembershipService) -> Made:
    return service.prepared("made changes", lambda: Made(service))


@pytest.mark.parametrize(
    ("method", "rest", "body"),
    [
        ("POST", "/disable", None),
        ("DELETE", "", None),
        ("PATCH", "", {"role": "member"}),
        ("PATCH", "", {"portal_access": False}),
    ],
    ids=["disabled", "removed", "demoted", "without a login"],
)
def test_a_change_ends_with_the_admin_who_requested_it(
    world: Made, method: str, rest: str, body: Any
) -> None:
    path = world.path(world.ann) + rest
    assert world.call(method, path, body, token=world.olga).status_code in (200, 204)

    assert world.prove() == (410, "link_spent")

    assert world.show()["email"] == MIA
    path = world.path(world.mia) + "/resend-verification"
    assert world.call("POST", path, token=world.olga).status_code == 200
    assert world.prove() == (201, None), "who sends it again has requested it"


def test_a_change_ends_when_the_admin_leaves(world: Made) -> None:
    token = world.service.log_in(ANN)["access_token"]
    left = world.call("DELETE", f"/v1/me/memberships/{world.first}", token=token)
    assert left.status_code == 204
    assert world.prove() == (410, "link_spent")


@pytest.mark.parametrize("how", ["disabled", "demoted", "removed"])
def test_a_change_ends_with_the_member_of_staff_who_requested_it(world: Made, how: str) -> None:
    home = world.path(organization_id=world.provider_id)
    body = {"name": "Max", "portal_access": True, "role": "member", "preset": "manager"}
    address = "max@provider.example"
    max_ = world.call("POST", home, {**body, "email": address}, token=world.staff).json["id"]
    world.service.accept(address)
    token = world.service.log_in(address)["access_token"]
    assert world.change(NEW, token=token).status_code == 200
    ways: dict[str, tuple[str, str, Any]] = {
        "disabled": ("POST", f"{home}/{max_}/disable", None),
        "demoted": ("PATCH", f"{home}/{max_}", {"preset": "billing"}),
        "removed": ("DELETE", f"{home}/{max_}", None),
    }
    assert world.call(*ways[how], token=world.staff).status_code in (200, 204)

    assert world.prove() == (410, "link_spent")


@pytest.mark.parametrize("how", ["suspended", "deleted", "expired"])
def test_a_change_ends_with_the_api_key_that_requested_it(world: Made, how: str) -> None:
    token = world.service.log_in("olga@customer.example")["access_token"]
    expires_at = clock.stamp(clock.now() + timedelta(hours=1))
    body = {"name": "Sync", "scopes": ["members:edit"], "expires_at": expires_at}
    made = world.call("POST", "/v1/api-keys", body, token=token).json
    key = world.call("POST", "/v1/sessions", {"api_key": made["api_key"]}).json["access_token"]
    assert world.change(NEW, token=key).status_code == 200
    if how == "deleted":
        path = f"/v1/api-keys/{made['id']}"
        assert world.call("DELETE", path, token=token).status_code == 204
    elif how == "expired":
        world.service.clock.advance(hours=1)
    else:
        transfer = {"member_id": world.ann, "reason": "T-1"}
        path = f"/v1/organizations/{world.first}/ownership-transfers"
        assert world.call("POST", path, transfer, token=world.staff).status_code == 201
        olga = world.service.claims(token)["mid"]
        ann = world.service.log_in(ANN)["access_token"]
        path = world.path(olga) + "/disable"
        assert world.call("POST", path, token=ann).status_code == 200

    assert world.prove() == (410, "link_spent")


def test_an_admin_s_address_is_not_changed_by_a_former_owner(world: Made) -> None:
    olga = world.service.log_in("olga@customer.example")["access_token"]
    assert world.change("ann@new.example", world.ann, olga).status_code == 200
    link = world.service.link("ann@new.example")
    transfer = {"member_id": world.mia, "reason": "T-1"}
    path = f"/v1/organizations/{world.first}/ownership-transfers"
    assert world.call("POST", path, transfer, token=world.staff).status_code == 201
    assert world.use(link, {"password": OTHER}) == (410, "link_spent")


def test_a_change_stays_while_its_maker_does(world: Made) -> None:
    home = world.path(world.ann)
    assert world.call("PATCH", home, {"name": "Anna"}, token=world.olga).status_code == 200
    assert world.prove() == (201, None)
