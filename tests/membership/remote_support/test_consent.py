"""Consent to Remote Support where a customer manages itself: who gives it, until when."""

from datetime import timedelta
from typing import Any

import pytest
from chassis.auth.actor import Actor
from chassis.runtime import ids
from membership.actions import support_grants
from membership.models import SupportGrant
from sqlalchemy import select

from tests.membership.support_setup import MICROSECOND, SupportSetup, texts


def test_a_self_managed_customer_consents_first(setup: SupportSetup) -> None:
    setup.member("anna@customer.example", role="admin")
    setup.member("mike@customer.example")
    grant = setup.request(minutes=60).json

    early = setup.enter(grant["id"])
    mails = [mail for mail in setup.service.send_mails() if "requests access" in mail["Subject"]]
    approved = setup.call(
        "POST", f"{setup.grants_path}/{grant['id']}/approve", {}, token=setup.owner
    )
    entered = setup.enter(grant["id"])

    assert grant["status"] == "pending" and (early.status_code, early.json["code"]) == (
        409,
        "grant_not_active",
    )
    assert sorted(mail["To"] for mail in mails) == [
        "anna@customer.example",
        "olga@customer.example",
    ]
    assert "a closer look" in mails[0].get_content() and "1 hour" in mails[0].get_content()
    assert setup.staff_details_in(*texts(mails)) == []
    assert (approved.status_code, approved.json["status"]) == (200, "active"), approved.text
    assert (
        approved.json["decided_by"]["name"] == "Olga Owner"
        and setup.staff_details_in(approved.text) == []
    )
    assert entered.status_code == 201
    assert [row.action for row in setup.rows("support.")] == [
        "support.requested",
        "support.approved",
        "support.entered",
    ]


@pytest.mark.parametrize("change", ["disabled", "removed", "demoted"])
def test_who_no_longer_decides_consents_to_nothing_with_an_older_token(
    setup: SupportSetup, change: str
) -> None:
    member_id, token = setup.member("anna@customer.example", role="admin")
    grant, path = setup.request().json, f"/v1/organizations/{setup.organization_id}/members"
    changed = {
        "disabled": lambda: setup.call(
            "POST", f"{path}/{member_id}/disable", {}, token=setup.owner
        ),
        "removed": lambda: setup.call("DELETE", f"{path}/{member_id}", token=setup.owner),
        "demoted": lambda: setup.call(
            "PATCH", f"{path}/{member_id}", {"role": "member"}, token=setup.owner
        ),
    }[change]()
    assert changed.status_code in (200, 204), changed.text

    refused = setup.call("POST", f"{setup.grants_path}/{grant['id']}/approve", {}, token=token)

    assert (refused.status_code, refused.json["code"]) == (403, "forbidden"), refused.text
    assert setup.enter(grant["id"]).status_code == 409


@pytest.mark.parametrize("change", ["disabled", "removed", "demoted"])
def test_nor_do_they_refuse_or_end_anything_with_it(setup: SupportSetup, change: str) -> None:
    member_id, token = setup.member("anna@customer.example", role="admin")
    path = f"/v1/organizations/{setup.organization_id}/members/{member_id}"
    active = setup.request().json["id"]
    approve = f"{setup.grants_path}/{active}/approve"
    assert setup.call("POST", approve, {}, token=setup.owner).status_code == 200
    inside = setup.service.claims(setup.enter(active).json["access_token"])["sid"]
    pending = setup.request(access="read").json["id"]
    how: dict[str, tuple[str, str, Any]] = {
        "disabled": ("POST", f"{path}/disable", {}),
        "removed": ("DELETE", path, None),
        "demoted": ("PATCH", path, {"role": "member"}),
    }
    assert setup.call(*how[change], token=setup.owner).status_code in (200, 204)

    for which in (pending, active, inside):
        answer = setup.call("DELETE", f"{setup.grants_path}/{which}", token=token)
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden"), answer.text

    statuses = setup.call("GET", setup.grants_path, token=setup.owner).json["data"]
    assert [grant["status"] for grant in statuses] == ["pending", "active"]
    unknown = setup.call("DELETE", f"{setup.grants_path}/{ids.new('grt')}", token=setup.owner)
    assert unknown.status_code == 404


def test_the_time_runs_from_the_consent(setup: SupportSetup) -> None:
    pending = setup.request(minutes=60).json
    setup.service.clock.advance(hours=70)
    setup.owner = setup.service.log_in("olga@customer.example")["access_token"]

    approved = setup.call(
        "POST", f"{setup.grants_path}/{pending['id']}/approve", {}, token=setup.owner
    )

    assert approved.status_code == 200
    with setup.service.database.reading() as session:
        grant = session.scalars(select(SupportGrant)).one()
        assert grant.decided_at is not None and grant.expires_at - grant.decided_at == timedelta(
            minutes=60
        )


@pytest.mark.parametrize(("ahead", "status"), [(-1, 200), (0, 409), (1, 409)])
def test_a_request_is_valid_for_72_hours_to_the_microsecond(
    setup: SupportSetup, ahead: int, status: int
) -> None:
    requested = setup.request().json
    with setup.service.database.transaction() as session:
        grant = session.scalars(select(SupportGrant)).one()
        at = grant.requested_at + timedelta(hours=72) + ahead * MICROSECOND
        assert grant.expires_at == grant.requested_at + timedelta(hours=72)
        by = Actor(kind="member", id=setup.service.claims(setup.owner)["sub"], label="Olga Owner")
        try:
            support_grants.approve_grant(
                session,
                organization_id=setup.organization_id,
                grant_id=requested["id"],
                now=at,
                by=by,
            )
            code = 200
        except support_grants.RequestNotPending:
            code = 409

    assert code == status


def test_refusing_and_withdrawing(setup: SupportSetup) -> None:
    refused = setup.request().json
    assert (
        setup.call("DELETE", f"{setup.grants_path}/{refused['id']}", token=setup.owner).status_code
        == 204
    )
    withdrawn = setup.request().json
    assert (
        setup.call(
            "DELETE", f"{setup.grants_path}/{withdrawn['id']}", token=setup.staff
        ).status_code
        == 204
    )

    listed = setup.call("GET", setup.grants_path, token=setup.staff).json["data"]

    assert [(row["status"], row["ended_why"]) for row in listed] == [
        ("ended", "stopped"),
        ("refused", "revoked_by_customer"),
    ]
    assert [row.action for row in setup.rows("support.")] == [
        "support.requested",
        "support.refused",
        "support.requested",
        "support.ended",
    ]
    late = setup.call("POST", f"{setup.grants_path}/{refused['id']}/approve", {}, token=setup.owner)
    assert (late.status_code, late.json["code"]) == (409, "request_not_pending")


def test_one_pending_request_at_a_time(setup: SupportSetup) -> None:
    setup.request()

    again = setup.request(token=setup.other)

    assert (again.status_code, again.json["code"]) == (409, "request_pending")


def test_who_may_consent(setup: SupportSetup) -> None:
    grant = setup.request().json
    _, mike = setup.member("mike@customer.example")
    path = f"{setup.grants_path}/{grant['id']}/approve"

    for token in (setup.staff, setup.boss, mike):
        assert setup.call("POST", path, {}, token=token).status_code == 403
    assert setup.call("POST", path, {"more": 1}, token=setup.owner).status_code == 422


def test_only_verified_addresses_are_notified_of_a_request(setup: SupportSetup) -> None:
    setup.member("anna@customer.example", role="admin")
    body = {
        "name": "Typo",
        "email": "typo@elsewhere.example",
        "role": "admin",
        "portal_access": True,
    }
    setup.call(
        "POST", f"/v1/organizations/{setup.organization_id}/members", body, token=setup.owner
    )
    before = len(setup.service.send_mails())

    setup.request()

    notified = {mail["To"] for mail in setup.service.send_mails()[before:]}
    assert "anna@customer.example" in notified and "typo@elsewhere.example" not in notified


def test_staff_cannot_consent_to_their_own_request(setup: SupportSetup) -> None:
    """A colleague who was made an admin of the customer is still a colleague."""
    grant = setup.request().json
    member_id, as_admin = setup.member("staff.svensson@provider.example", role="admin")

    refused = setup.call("POST", f"{setup.grants_path}/{grant['id']}/approve", {}, token=as_admin)

    assert refused.status_code == 403 and "work for the provider" in refused.json["detail"]
    assert (
        setup.call(
            "POST", f"{setup.grants_path}/{grant['id']}/approve", {}, token=setup.owner
        ).status_code
        == 200
    )
    assert setup.login_as(member_id, token=setup.other).json["code"] == "member_not_eligible"
