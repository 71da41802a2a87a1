"""Routes whose statements check on their own that the customer is the provider's."""

import dataclasses
from typing import Any

import pytest
from chassis.audit import AuditEntry
from chassis.runtime import ids
from sqlalchemy import func, select

from tests.billing.conftest import World

CHARGE = {"amount": "1", "kind": "usage", "description": "Calls"}
RESERVATION = {"amount": "1", "description": "Call", "expires_in": 60}
RESERVED = "reservations/res_01890000000070008000000000"


@pytest.fixture
def looked_up(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The organizations whose provider is looked up before the view runs, or after a refusal."""
    extensions, seen = world.client.application.extensions, []
    control = extensions["access_control"]

    def provider_of(organization_id: str) -> Any:
        seen.append(organization_id)
        return control.provider_of(organization_id)

    replaced = dataclasses.replace(control, provider_of=provider_of)
    monkeypatch.setitem(extensions, "access_control", replaced)
    return seen


def denied(world: World, organization_id: str) -> int:
    """How many refusals the organization's audit log has."""
    with world.database.reading() as session:
        noted = select(func.count()).where(
            AuditEntry.organization_id == organization_id, AuditEntry.outcome == "denied"
        )
        return session.scalar(noted) or 0


def test_what_succeeds_looks_up_no_provider(world: World, looked_up: list[str]) -> None:
    customer = world.open(limit="100")
    assert world.post(customer, "charges", CHARGE).status_code == 201
    held = world.post(customer, "reservations", RESERVATION).json
    assert world.post(customer, f"reservations/{held['id']}/capture", {}).status_code == 200
    assert world.account(customer)["usable_credits"] == "98.00"
    assert looked_up == []


@pytest.mark.parametrize(
    ("what", "body", "options"),
    [
        ("charges", CHARGE, {}),
        ("charges", {**CHARGE, "kind": "one_time"}, {}),
        ("charges", {**CHARGE, "external_invoice": "A-1"}, {}),
        ("charges", {**CHARGE, "amount": "-1"}, {}),
        ("charges", CHARGE, {"key": None}),
        ("charges", CHARGE, {"role": "viewer"}),
        ("reservations", RESERVATION, {}),
        ("reservations", {}, {}),
        (f"{RESERVED}/capture", {}, {}),
        (f"{RESERVED}/release", {}, {"role": "support"}),
    ],
)
def test_a_customer_of_another_provider_does_not_exist_whatever_else_is_wrong(
    world: World, what: str, body: dict[str, Any], options: dict[str, Any]
) -> None:
    foreign = world.open(limit="100")
    token = world.token(org=ids.new("org"), role=options.get("role", "owner"))
    sent = {name: value for name, value in options.items() if name == "key"}
    response = world.post(foreign, what, body, token=token, **sent)
    assert (response.status_code, response.json["code"]) == (404, "not_found")
    assert response.json["detail"] == "There is no such organization."
    assert denied(world, foreign) == 0
    assert world.account(foreign)["usable_credits"] == "100.00"


STAFF = {"sub": "idn_sam", "org": "org_p", "sid": "ses_2", "name": "Sam"}
READ_ONLY = {"act": {**STAFF, "mode": "remote_support", "access": "read"}}


@pytest.mark.parametrize(
    ("claims", "body", "refusal"),
    [(READ_ONLY, CHARGE, 403), ({}, {**CHARGE, "description": "x" * 70_000}, 413)],
    ids=["read-only access", "body too large"],
)
def test_a_foreign_customer_does_not_exist_for_what_is_refused_before_its_account_is_read(
    world: World, claims: dict[str, Any], body: dict[str, Any], refusal: int
) -> None:
    own, foreign = world.open(), world.open()
    refused = world.post(own, "charges", body, token=world.token(**claims))
    assert refused.status_code == refusal

    response = world.post(foreign, "charges", body, token=world.token(org=ids.new("org"), **claims))

    assert (response.status_code, response.json["code"]) == (404, "not_found")
    assert denied(world, foreign) == 0


def test_the_account_of_another_provider_is_not_read(world: World) -> None:
    foreign, token = world.open(), world.token(org=ids.new("org"))
    response = world.call("GET", f"/v1/organizations/{foreign}/account", token=token)
    assert (response.status_code, response.json["detail"]) == (
        404,
        "There is no such organization.",
    )


def test_a_role_that_may_not_charge_is_noted_for_an_own_customer(
    world: World, looked_up: list[str]
) -> None:
    customer = world.open(limit="100")
    response = world.post(customer, "charges", CHARGE, token=world.token(role="viewer"))
    assert (response.status_code, response.json["code"]) == (403, "forbidden")
    assert looked_up == [customer]
