"""Organizations are changed by requests."""

import pytest
from contracts import org

from tests.org.conftest import NOON, World, balance
from tests.org.organizations.sample import GOOD

pytestmark = pytest.mark.both_databases


def test_patchable_fields_are_changed_and_published(world: World) -> None:
    customer = world.active()

    response = world.call(
        "PATCH",
        f"/organizations/{customer}",
        {
            "name": "Acme Holding",
            "billing": {"city": "Berlin", "address": "Street 1\nBack yard"},
            "buyer_tags": {"CustomerRef": "C-7"},
            "demo": True,
            "managed_by": "customer",
        },
    )

    assert response.status_code == 200
    assert response.json["billing"]["name"] == "Acme Holding"
    assert response.json["billing"]["email"] == "bills@acme.example"
    assert response.json["buyer_tags"] == {"CustomerRef": "C-7"}
    assert world.published(org.OrganizationChanged)[-1].name == "Acme Holding"


def test_null_removes_a_value_and_a_missing_key_keeps_it(world: World) -> None:
    customer = world.active(buyer_tags={"CustomerRef": "C-7", "TypeRef": "T"})

    response = world.call(
        "PATCH", f"/organizations/{customer}", {"buyer_tags": {"CustomerRef": None}}
    )

    assert response.json["buyer_tags"] == {"TypeRef": "T"}


def test_a_change_without_difference_publishes_nothing(world: World) -> None:
    customer = world.active()

    assert (
        world.call("PATCH", f"/organizations/{customer}", {"name": "Acme Ltd"}).status_code == 200
    )
    assert world.published(org.OrganizationChanged) == []


def test_a_change_is_audited_with_its_request_id(world: World) -> None:
    customer = world.active()

    world.call(
        "PATCH", f"/organizations/{customer}", {"demo": True}, headers={"X-Request-Id": "req-1"}
    )

    row = next(m for m in world.published(org.AuditRecorded) if m.action == "organization.changed")
    assert row.request_id == "req-1"
    assert row.changes == [{"field": "demo", "before": False, "after": True}]


@pytest.mark.parametrize("field", ["country", "currency", "timezone", "pricing_model"])
def test_fields_fixed_at_creation_are_immutable(world: World, field: str) -> None:
    response = world.call("PATCH", f"/organizations/{world.active()}", {field: GOOD[field]})

    assert response.status_code == 422
    assert [(e["pointer"], e["code"]) for e in response.json["errors"]] == [
        (f"/{field}", "immutable")
    ]


def test_read_only_fields_are_refused(world: World) -> None:
    customer = world.active()

    responses = [
        world.call("PATCH", f"/organizations/{customer}", {field: "x"})
        for field in (
            "id",
            "status",
            "payment_mode",
            "owner",
            "purge_at",
            "summary",
            "credit_limit",
        )
    ]

    assert {a.status_code for a in responses} == {422}
    assert {a.json["errors"][0]["code"] for a in responses} == {"unknown_field"}


def test_if_match_guards_a_change(world: World) -> None:
    customer = world.active()
    tag = world.call("GET", f"/organizations/{customer}").headers["ETag"]

    changed = world.call(
        "PATCH", f"/organizations/{customer}", {"name": "New Name"}, headers={"If-Match": tag}
    )
    late = world.call(
        "PATCH", f"/organizations/{customer}", {"name": "Other Name"}, headers={"If-Match": tag}
    )
    anyhow = world.call(
        "PATCH", f"/organizations/{customer}", {"name": "Third Name"}, headers={"If-Match": "*"}
    )

    assert changed.status_code == 200
    assert changed.headers["ETag"] not in (None, tag)
    assert (late.status_code, late.json["code"]) == (412, "precondition_failed")
    assert anyhow.status_code == 200


def test_the_etag_covers_only_patchable_fields(world: World) -> None:
    customer = world.active()
    tag = world.call("GET", f"/organizations/{customer}").headers["ETag"]

    world.consume(balance(customer, world.provider, usable="5.00", as_of=NOON))

    assert world.call("GET", f"/organizations/{customer}").headers["ETag"] == tag
