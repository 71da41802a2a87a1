"""Who may see an organization and do what with it."""

from typing import Any

import pytest
from chassis.runtime import ids
from contracts import org

from tests.org.conftest import World
from tests.org.organizations.sample import GOOD

pytestmark = pytest.mark.both_databases


CALLS = [
    ("GET", "", None),
    ("PATCH", "", {"demo": True}),
    ("POST", "/suspend", {"reason": "x"}),
    ("POST", "/activate", {}),
    ("GET", "/deletion-check", None),
    ("DELETE", "", {}),
    ("GET", "/deletion", None),
    ("GET", "/timeline", None),
    ("GET", "/audit", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=str)
def test_other_tenants_organizations_do_not_exist(
    world: World, method: str, path: str, body: Any
) -> None:
    customer, stranger = world.active(), ids.new("org")

    def seen(organization_id: str, **who: Any) -> tuple[int, str]:
        response = world.call(method, f"/organizations/{organization_id}{path}", body, **who)
        return response.status_code, response.json["code"]

    other_provider = {"role": "owner", "org": stranger}
    assert seen(customer, **other_provider) == (404, "not_found")
    assert seen(world.provider, role="owner", org=customer) == (404, "not_found")
    assert seen(ids.new("org")) == (404, "not_found")
    for shape in (
        customer.upper(),
        customer.replace("org_", "mem_"),
        f"{customer}%0A",
        "org_00000000000000000000000000x",
        "%2e%2e",
    ):
        assert seen(shape)[0] == 404


def test_customers_read_only_their_own_organization(world: World) -> None:
    customer, other = world.active(), world.active()

    assert (
        world.call("GET", f"/organizations/{customer}", org=customer, role="member").status_code
        == 200
    )
    assert world.call("GET", f"/organizations/{other}", org=customer).status_code == 404
    assert [
        row["id"] for row in world.call("GET", "/organizations", org=customer).json["data"]
    ] == [customer]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/suspend", {"reason": "x"}),
        ("POST", "/activate", {}),
        ("GET", "/deletion-check", None),
        ("DELETE", "", {}),
    ],
    ids=str,
)
def test_staff_operations_are_forbidden_to_customers_and_audited(
    world: World, method: str, path: str, body: Any
) -> None:
    customer = world.active()

    response = world.call(method, f"/organizations/{customer}{path}", body, org=customer)

    assert (response.status_code, response.json["code"]) == (403, "forbidden")
    assert [m.outcome for m in world.published(org.AuditRecorded)][-1] == "denied"
    assert world.organization(customer).status == "active"


def test_customers_cannot_create_organizations(world: World) -> None:
    assert world.call("POST", "/organizations", GOOD, org=world.active()).status_code == 403


def test_an_owner_changes_name_and_billing_only(world: World) -> None:
    customer = world.active()

    def change(body: Any, **who: Any) -> int:
        return world.call(
            "PATCH", f"/organizations/{customer}", body, org=customer, **who
        ).status_code

    assert change({"name": "Mine"}) == 200
    assert change({"demo": True}) == 403
    assert change({"name": "Mine"}, role="admin") == 403


def test_only_the_owner_in_person_lets_the_provider_manage(world: World) -> None:
    customer = world.active()
    body = {"managed_by": "provider"}
    act = {"sub": "idn_staff", "org": "org_x", "sid": "ses_x", "mode": "login_as", "access": "full"}

    def change(**who: Any) -> int:
        return world.call("PATCH", f"/organizations/{customer}", body, **who).status_code

    assert change() == 403
    assert change(org=customer, act=act) == 403
    assert change(org=customer) == 200
