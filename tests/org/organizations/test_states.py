"""Requests that suspend, activate and delete."""

import pytest
from org.models import Organization

from tests.org.conftest import NOON, World

pytestmark = pytest.mark.both_databases


STATES = {
    "provisioning": (409, 409, 409),
    "active": (200, 200, 202),
    "suspended": (200, 200, 202),
    "closing": (409, 409, 202),
    "suspended_for_deletion": (409, 200, 202),
    "deleted": (410, 410, 202),
}


@pytest.mark.parametrize("status", STATES)
def test_suspend_activate_and_delete_respond_as_the_state_table_says(
    world: World, status: str
) -> None:
    def fresh() -> str:
        customer = world.active()
        if status in ("closing", "suspended_for_deletion", "deleted"):
            (world.request_deletion if status == "closing" else world.schedule_deletion)(customer)
        if status in ("provisioning", "suspended", "deleted"):
            world.set_status(customer, status)
        world.now = NOON
        return customer

    from chassis.runtime import clock

    world.now = clock.now()
    suspend = world.call("POST", f"/organizations/{fresh()}/suspend", {"reason": "x"})
    world.now = clock.now()
    activate = world.call("POST", f"/organizations/{fresh()}/activate", {})
    world.now = clock.now()
    delete = world.call("DELETE", f"/organizations/{fresh()}", {})

    assert (suspend.status_code, activate.status_code, delete.status_code) == STATES[status]


def test_the_provider_cannot_be_deleted(world: World) -> None:
    response = world.call("DELETE", f"/organizations/{world.provider}", {})

    assert (response.status_code, response.json["code"]) == (409, "provider_root")


def test_a_refused_deletion_shows_the_remedy_of_each_blocker(world: World) -> None:
    from contracts import billing, parts

    customer = world.active()
    deletion = world.call("DELETE", f"/organizations/{customer}", {"reason": "bye"}).json
    left = parts.Blocker(code="credits_left", amount="5.00", currency="EUR")
    world.consume(
        billing.AccountNotClosed(
            organization_id=customer, deletion_id=deletion["id"], blockers=[left]
        )
    )

    shown = world.call("GET", f"/organizations/{customer}/deletion").json

    assert shown["status"] == "refused"
    (blocker,) = shown["blockers"]
    assert (blocker["code"], blocker["amount"], blocker["currency"]) == (
        "credits_left",
        "5.00",
        "EUR",
    )
    assert blocker["fix"] == {
        "method": "POST",
        "href": f"/v1/organizations/{customer}/account/withdrawals",
    }


@pytest.mark.parametrize(
    ("mode", "path"), [("prepaid", "account/top-ups"), ("postpaid", "payments")]
)
def test_the_remedy_of_an_amount_due_depends_on_the_payment_mode(
    world: World, mode: str, path: str
) -> None:
    from contracts import billing, parts

    customer = world.active()
    with world.database.transaction() as session:
        session.get_one(Organization, customer).payment_mode = mode
    due = parts.Blocker(code="amount_due", amount="5.00", currency="EUR")
    world.billing.response = {"blockers": [vars(due)], "warnings": []}
    checked = world.call("GET", f"/organizations/{customer}/deletion-check").json
    deletion = world.call("DELETE", f"/organizations/{customer}", {}).json
    world.consume(
        billing.AccountNotClosed(
            organization_id=customer, deletion_id=deletion["id"], blockers=[due]
        )
    )

    refused = world.call("GET", f"/organizations/{customer}/deletion").json

    for response in (checked, refused):
        assert [b["fix"] for b in response["blockers"]] == [
            {"method": "POST", "href": f"/v1/organizations/{customer}/{path}"}
        ]


def test_without_a_deletion_the_response_is_404(world: World) -> None:
    assert world.call("GET", f"/organizations/{world.active()}/deletion").status_code == 404


def test_the_deletion_check_asks_the_other_services_and_changes_nothing(world: World) -> None:
    customer = world.active()
    world.billing.response = {
        "blockers": [{"code": "amount_due", "amount": "1.00", "currency": "EUR"}],
        "warnings": [],
    }
    world.membership.response = {
        "blockers": [],
        "warnings": [{"code": "acting_session", "detail": "Inside."}],
    }

    check = world.call("GET", f"/organizations/{customer}/deletion-check").json

    assert check["deletable"] is False
    assert [b["code"] for b in check["blockers"]] == ["amount_due"]
    assert [w["code"] for w in check["warnings"]] == ["acting_session"]
    assert world.organization(customer).status == "active"
