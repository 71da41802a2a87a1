"""What staff may not do while they act as a member, and how their changes are recorded."""

from importlib import import_module
from typing import Any

import pytest
from chassis.auth.permissions import CUSTOMER
from membership.guard import OPERATIONS

from tests.house import endpoints
from tests.membership.support_setup import SupportSetup


def test_every_operation_the_table_forbids_is_refused(
    support: SupportSetup, jane: tuple[str, str]
) -> None:
    acts = support.login_as(support.service.claims(support.owner)["mid"]).json["access_token"]
    under = support.enter(support.request().json["id"], token=support.other).json["access_token"]
    before = support.call(
        "GET", f"/v1/organizations/{support.organization_id}/members", token=support.owner
    ).json
    forbidden = {name for name, row in OPERATIONS.rows.items() if row.marks["acting"] == "-"}
    calls = [
        call for call in endpoints.endpoints_of(support.service.app) if call.operation in forbidden
    ]

    statuses = {}
    for call in calls:
        path = call.path.replace("<organization_id>", support.organization_id).replace(
            "<member_id>", jane[0]
        )
        for token in (acts, under):
            answer = support.call(
                call.method, path.replace("<", "").replace(">", ""), {"reason": "x"}, token=token
            )
            statuses[call.method, call.path, token == acts] = answer.status_code

    assert len(calls) > 20 and set(statuses.values()) == {403}, {
        k: v for k, v in statuses.items() if v != 403
    }
    assert (
        support.call(
            "GET", f"/v1/organizations/{support.organization_id}/members", token=support.owner
        ).json
        == before
    )


def test_the_tables_allow_support_exactly_these_operations() -> None:
    """Adding to it allows support to do it in a customer's organization, where the customer's
    people may."""
    allowed = {
        name
        for service in ("org", "billing", "membership")
        for name, row in import_module(f"{service}.guard").OPERATIONS.rows.items()
        if row.marks["acting"] != "-"
        and any(row.marks[f"customer:{role}"] != "-" for role in CUSTOMER)
    }

    assert allowed == {
        "organization.list",
        "organization.read",
        "organization.change",
        "account.read",
        "invoices.read",
        "payments.read",
        "transactions.read",
        "me.read",
        "session.end",
        "member.list",
        "member.read",
        "member.update",
        "member.resend",
        "ownership.read",
        "support.read",
    }


@pytest.mark.parametrize(
    "body",
    [
        {"email": "thief@provider.example"},
        {"role": "member"},
        {"portal_access": False},
        {"name": "New Name", "role": "member"},
    ],
)
def test_support_cannot_change_login_or_role(
    support: SupportSetup, jane: tuple[str, str], body: dict[str, Any]
) -> None:
    tokens = [
        support.login_as(support.service.claims(support.owner)["mid"]).json["access_token"],
        support.enter(support.request().json["id"], token=support.other).json["access_token"],
    ]
    path = f"/v1/organizations/{support.organization_id}/members/{jane[0]}"
    before = support.call("GET", path, token=support.owner).json

    answers = [support.call("PATCH", path, body, token=token) for token in tokens]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert support.call("GET", path, token=support.owner).json == before


def test_support_cannot_end_other_sessions(
    support: SupportSetup, jane: tuple[str, str], token: str
) -> None:
    for sid in (
        support.service.claims(jane[1])["sid"],
        support.service.claims(support.staff)["sid"],
    ):
        assert support.call("DELETE", f"/v1/sessions/{sid}", token=token).status_code == 403

    assert not support.service.is_revoked(jane[1]) and not support.service.is_revoked(support.staff)


def test_changes_by_support_are_recorded_under_both_names(
    support: SupportSetup, jane: tuple[str, str]
) -> None:
    token = support.login_as(support.service.claims(support.owner)["mid"]).json["access_token"]
    path = f"/v1/organizations/{support.organization_id}/members/{jane[0]}"

    assert support.call("PATCH", path, {"name": "Jane Renamed"}, token=token).status_code == 200

    row = support.rows("member.updated")[-1]
    assert (row.actor["kind"], row.actor["label"]) == ("support", "Olga Owner")
    assert row.actor["acting"]["sub"] == support.service.claims(support.staff)["sub"]
    assert row.actor["acting"]["acting"] == support.service.claims(token)["sid"]
