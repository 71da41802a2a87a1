"""Transfers of ownership by staff, which take effect at once and can be undone."""

from datetime import timedelta

import pytest
from chassis.runtime import clock
from contracts import membership as messages
from membership import models
from sqlalchemy import select

from tests.membership.transfers.conftest import HOURS, MIA, OLGA, code


def test_a_transfer_by_staff_takes_effect_at_once_and_both_are_notified(setup):
    service = setup.service
    answer = setup.transfer(setup.mia, token=setup.staff)
    assert answer.status_code == 201
    shown = answer.json
    assert (shown["status"], shown["by"], shown["reason"]) == ("completed", "staff", "Olga leaves")
    assert shown["from"] == {"member_id": setup.olga, "name": "Olga Owner"}
    assert shown["to"] == {"member_id": setup.mia, "name": "Mia"}
    assert shown["expires_at"] is None and shown["undo_until"] > shown["created_at"]
    assert [step["code"] for step in shown["follow_up"]] == [
        "billing_email",
        "payment_method",
        "auto_top_up",
    ]
    assert setup.roles() == {setup.olga: "admin", setup.mia: "owner", setup.adam: "admin"}
    published = service.published(messages.MembersChanged)[-1]
    assert (published.owner.member_id, published.admins, published.members) == (setup.mia, 2, 3)
    row = service.published(messages.AuditRecorded)[-1]
    assert (row.action, row.reason, row.target["id"]) == (
        "ownership.transferred",
        "Olga leaves",
        setup.mia,
    )
    assert row.changes == [{"field": "owner", "before": setup.olga, "after": setup.mia}]
    assert setup.mails(OLGA) == ["Acme Ltd has a new owner"]
    assert setup.mails(MIA) == ["You're now the owner of Acme Ltd"]


def test_both_have_to_refresh_their_tokens_and_then_have_their_new_roles(setup):
    service = setup.service
    logins = {address: service.log_in(address) for address in (OLGA, MIA)}
    setup.at_once()
    assert all(
        service.is_revoked(login["access_token"]) for login in logins.values()
    ) and not service.is_revoked(setup.admin)
    for address, role in ((OLGA, "admin"), (MIA, "owner")):
        renewed = service.call(
            "POST", "/v1/sessions/refresh", {"refresh_token": logins[address]["refresh_token"]}
        ).json
        assert renewed["role"] == role and not service.is_revoked(renewed["access_token"])


@pytest.mark.parametrize("whom", ["olga", "mia"])
def test_login_as_sessions_of_both_end(setup, whom):
    service = setup.service
    path = f"/v1/organizations/{setup.organization_id}/members/{getattr(setup, whom)}/login-as"
    inside = service.call("POST", path, {"reason": "r"}, token=setup.staff).json["access_token"]
    assert code(setup.transfer(setup.mia, token=inside)) == (403, "forbidden")
    setup.at_once()
    assert service.is_revoked(inside) and not service.is_revoked(setup.staff)
    with service.database.reading() as session:
        assert session.scalars(select(models.ActingSession)).one().ended_why == "member_changed"


def test_what_is_assigned_stays_and_is_listed(setup):
    path = f"/v1/organizations/{setup.organization_id}/members"
    desk = setup.service.call(
        "POST", path, {"name": "Desk", "portal_access": False}, token=setup.owner
    ).json
    given = {"portal_access": True, "role": "member", "email": "desk@customer.example"}
    assert (
        setup.service.call("PATCH", f"{path}/{desk['id']}", given, token=setup.owner).status_code
        == 200
    )
    setup.service.accept("desk@customer.example")
    assert setup.transfer(desk["id"], token=setup.staff).json["assignments"] == []
    [kept] = setup.transfer(setup.mia, token=setup.staff).json["assignments"]
    assert (kept["type"], kept["id"]) == ("extension", "100") and "100" in kept["label"]
    shown = setup.service.call("GET", kept["href"], token=setup.staff).json
    assert (shown["role"], shown["extension"]) == ("admin", "100")


def test_an_undo_restores_both_roles(setup):
    first = setup.at_once()
    undone = setup.call("DELETE", f"/{first}", token=setup.staff)
    assert (undone.status_code, undone.json["status"], undone.json["undo_until"]) == (
        200,
        "undone",
        None,
    )
    assert setup.roles() == {setup.olga: "owner", setup.mia: "member", setup.adam: "admin"}
    assert setup.service.published(messages.MembersChanged)[-1].owner.member_id == setup.olga
    assert setup.mails(OLGA)[-1] == "You're now the owner of Acme Ltd"
    assert code(setup.call("DELETE", f"/{first}", token=setup.staff)) == (410, "undo_over")
    assert setup.audited() == [("ownership.transferred", "ok"), ("ownership.undone", "ok")]


def test_an_undo_is_possible_for_72_hours_to_the_microsecond(setup, service, monkeypatch):
    begun = clock.now()
    with monkeypatch.context() as still:
        still.setattr(clock, "now", lambda: begun)
        first = setup.at_once()
    service.clock.advance(hours=HOURS)
    staff = setup.log_in("admin@example.com")
    over = begun + timedelta(hours=HOURS)
    with monkeypatch.context() as still:
        still.setattr(clock, "now", lambda: over)
        assert code(setup.call("DELETE", f"/{first}", token=staff)) == (410, "undo_over")
        still.setattr(clock, "now", lambda: over - timedelta(microseconds=1))
        assert setup.call("DELETE", f"/{first}", token=staff).status_code == 200


def test_only_the_newest_transfer_can_be_undone(setup):
    first = setup.at_once(setup.mia)
    second = setup.at_once(setup.olga)
    third = setup.at_once(setup.mia)
    for early in (first, second):
        assert code(setup.call("DELETE", f"/{early}", token=setup.staff)) == (409, "owner_changed")
    for late, owner in ((third, setup.olga), (second, setup.mia), (first, setup.olga)):
        assert setup.call("DELETE", f"/{late}", token=setup.staff).status_code == 200
        assert setup.owners() == [owner]


@pytest.mark.parametrize("how", ["disable", "remove", "no access"])
def test_no_undo_in_favor_of_a_member_who_cannot_be_owner(setup, how):
    first = setup.at_once()
    path = f"/v1/organizations/{setup.organization_id}/members/{setup.olga}"
    method, rest, body = {
        "disable": ("POST", "/disable", None),
        "remove": ("DELETE", "", None),
        "no access": ("PATCH", "", {"portal_access": False}),
    }[how]
    assert setup.service.call(method, path + rest, body, token=setup.staff).status_code in (
        200,
        204,
    )
    assert code(setup.call("DELETE", f"/{first}", token=setup.staff)) == (
        409,
        "member_not_eligible",
    )
    assert setup.owners() == [setup.mia]


def test_a_first_owner_who_never_joins_is_replaced(setup):
    service = setup.service
    organization_id = service.customer(
        "nobody@second.example", provider_id=setup.provider_id, name="Second"
    )
    paula, _ = setup.joined("paula@second.example", organization_id=organization_id)
    pending = next(m for m, role in setup.roles(organization_id).items() if role == "owner")
    changed = setup.transfer(paula, token=setup.staff, organization_id=organization_id)
    assert changed.status_code == 201
    assert setup.roles(organization_id) == {pending: "admin", paula: "owner"}
    assert setup.mails("nobody@second.example") == []
    undo = setup.call(
        "DELETE", f"/{changed.json['id']}", token=setup.staff, organization_id=organization_id
    )
    assert code(undo) == (409, "member_not_eligible")
    service.accept("nobody@second.example")
    assert service.log_in("nobody@second.example")["role"] == "admin"
