"""Grants of Remote Support: what may be asked for, by whom, and how long they last."""

from typing import Any

import pytest
from contracts import org
from membership.models import SupportGrant
from sqlalchemy import select

from tests.membership.conftest import MembershipService
from tests.membership.support_setup import SupportSetup, support_setup


def test_a_grant_is_active_at_once_where_the_provider_manages(support: SupportSetup) -> None:
    answer = support.request(minutes=90, access="read")

    assert answer.status_code == 201, answer.text
    staff = support.service.claims(support.staff)
    shown = {
        name: answer.json[name]
        for name in ("status", "minutes", "access", "reason", "decided_by", "ended_at")
    }
    assert shown == {
        "status": "active",
        "minutes": 90,
        "access": "read",
        "reason": "a closer look",
        "decided_by": None,
        "ended_at": None,
    }
    assert answer.json["requested_by"] == {"id": staff["sub"], "name": staff["name"]}
    row = support.rows("support.requested")[0]
    assert (row.reason, row.actor["kind"], row.actor["acting"]["sub"]) == (
        "a closer look",
        "support",
        staff["sub"],
    )
    assert row.target["id"] == answer.json["id"]


def test_a_grant_defaults_to_a_day_and_full_access(support: SupportSetup) -> None:
    grant = support.request().json

    assert (grant["minutes"], grant["access"]) == (1440, "full")


@pytest.mark.parametrize(
    "body",
    [
        {"minutes": 0},
        {"minutes": 43_201},
        {"minutes": "60"},
        {"access": "all"},
        {"reason": ""},
        {"more": 1},
    ],
)
def test_invalid_requests_are_refused(support: SupportSetup, body: dict[str, Any]) -> None:
    assert support.request(**body).status_code == 422


def test_the_managed_service_must_be_on(service: MembershipService) -> None:
    there = support_setup(service, managed_service=False)

    for answer in (
        there.request(),
        there.call(
            "POST",
            "/v1/sessions/exchange",
            {"organization_id": there.organization_id},
            token=there.staff,
        ),
    ):
        assert (answer.status_code, answer.json["code"]) == (409, "managed_service_off")


def test_only_active_customers_can_be_asked(support: SupportSetup) -> None:
    own = support.call(
        "POST",
        f"/v1/organizations/{support.provider_id}/remote-support",
        {"reason": "x"},
        token=support.staff,
    )
    support.service.receive(
        org.OrganizationSuspended(
            organization_id=support.organization_id, provider_id=support.provider_id
        )
    )

    assert (own.status_code, own.json["code"]) == (409, "not_a_customer")
    assert (support.request().status_code, support.request().json["code"]) == (
        409,
        "organization_not_active",
    )


def test_pending_requests_end_with_the_managed_service(setup: SupportSetup) -> None:
    grant = setup.request().json["id"]

    setup.settings(version=2, managed_service=False)
    setup.settings(version=3, managed_service=True)

    late = setup.call("POST", f"{setup.grants_path}/{grant}/approve", {}, token=setup.owner)
    assert (late.status_code, late.json["code"]) == (409, "request_not_pending")


def test_old_requests_expire(setup: SupportSetup) -> None:
    setup.request()
    setup.service.clock.advance(hours=72)

    assert (setup.end_expired(), setup.end_expired()) == (1, 0)
    assert [row.action for row in setup.rows("support.")] == [
        "support.requested",
        "support.expired",
    ]
    assert setup.rows("support.expired")[0].actor["kind"] == "system"


def test_the_list_is_paged(support: SupportSetup) -> None:
    made = [support.request().json["id"] for _ in range(3)]

    first = support.call("GET", f"{support.grants_path}?limit=2", token=support.owner).json
    second = support.call(
        "GET", f"{support.grants_path}?limit=2&cursor={first['next_cursor']}", token=support.owner
    ).json

    assert [row["id"] for row in first["data"] + second["data"]] == made[::-1]
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert (
        support.call("GET", f"{support.grants_path}?cursor=x", token=support.owner).status_code
        == 422
    )


def test_erasing_the_organization_erases_the_reasons(setup: SupportSetup) -> None:
    pending = setup.request().json["id"]
    setup.call("POST", f"{setup.grants_path}/{pending}/approve", {}, token=setup.owner)
    setup.enter(pending)
    deletion = {
        "organization_id": setup.organization_id,
        "deletion_id": "del_01k9jm4h6jf2sb9c1d0e5f7g8h",
    }
    setup.service.receive(org.EndAccess(**deletion))

    setup.service.receive(org.EraseMembers(**deletion))

    with setup.service.database.reading() as session:
        grant = session.scalars(select(SupportGrant)).one()
    assert (grant.reason, grant.decided_by_name, setup.acting_sessions()[0].reason) == (
        "",
        None,
        "",
    )


@pytest.mark.parametrize("how", ["disabled", "removed", "another role", "signed out"])
def test_who_is_gone_requests_nothing_with_an_older_token(support: SupportSetup, how: str) -> None:
    member_id, token = support.member(
        "otto@provider.example", at=support.provider_id, preset="manager"
    )
    path = f"/v1/organizations/{support.provider_id}/members/{member_id}"
    if how == "disabled":
        support.call("POST", f"{path}/disable", token=support.boss)
    elif how == "removed":
        support.call("DELETE", path, token=support.boss)
    elif how == "another role":
        support.call("PATCH", path, {"preset": "viewer"}, token=support.boss)
    else:
        support.call("DELETE", "/v1/sessions/current", token=token)

    refused = support.request(token=token)

    assert (refused.status_code, refused.json["code"]) == (401, "token_revoked")
    assert support.call("GET", support.grants_path, token=support.owner).json["data"] == []
