"""Links to invited people: who can use them, how often they are sent, how an invitation stands."""

from datetime import timedelta

import pytest
from membership import models
from membership.values import attempt_limits
from membership.values.attempt_limits import Limit
from sqlalchemy import event, update

from tests.membership.invitations.conftest import MIA, NEW, OLGA, PASSWORD


def test_a_link_is_refused_while_signed_in_as_someone_else_and_stays_valid(setup):
    setup.add()
    link = setup.service.link(MIA)
    refused = setup.verify(link, {"password": PASSWORD}, token=setup.owner)
    assert (refused.status_code, refused.json["code"]) == (409, "signed_in_as_another")
    assert OLGA in refused.json["detail"] and MIA in refused.json["detail"]
    assert setup.verify(link, {"password": PASSWORD}).status_code == 201


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer a.b.c", "Basic eDp5", ""])
def test_a_browser_with_an_old_token_can_use_a_link(setup, header):
    setup.add()
    body = {"password": PASSWORD}
    link = f"/v1/verifications/{setup.service.link(MIA)}"
    assert (
        setup.service.call("POST", link, body, headers={"Authorization": header}).status_code == 201
    )


def test_a_link_works_while_signed_in_as_its_recipient(setup):
    second_id = setup.service.customer(OLGA, name="Second", provider_id=setup.provider_id)
    assert setup.verify(setup.service.link(OLGA), token=setup.owner).status_code == 201
    assert setup.service.log_in(OLGA, organization_id=second_id)


@pytest.mark.usefixtures("stopped_clock")
def test_one_link_a_minute_to_the_same_member(setup):
    member_id = setup.add().json["id"]
    refused = setup.resend(member_id)
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert 0 < int(refused.headers["Retry-After"]) <= 60 and "minute" in refused.json["detail"]
    setup.service.clock.advance(seconds=int(refused.headers["Retry-After"]))
    assert setup.resend(member_id).status_code == 200
    assert setup.resend(member_id).status_code == 429


def test_five_resends_a_day(setup):
    member_id = setup.add().json["id"]
    for _ in range(5):
        setup.advance(seconds=61)
        assert setup.resend(member_id).status_code == 200
    setup.advance(seconds=61)
    refused = setup.resend(member_id)
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert (
        86_000 < int(refused.headers["Retry-After"]) < 86_400
        and "six links" in refused.json["detail"]
    )
    setup.advance(seconds=int(refused.headers["Retry-After"]))
    assert setup.resend(member_id).status_code == 200


@pytest.mark.usefixtures("stopped_clock")
def test_repeated_address_changes_do_not_exceed_that(setup):
    member_id = setup.add().json["id"]
    answers = [setup.call("PATCH", f"/{member_id}", {"email": (NEW, MIA)[n % 2]}) for n in range(6)]
    assert [a.status_code for a in answers] == [200] * 5 + [429]
    assert setup.show(member_id)["email"] == NEW


def test_two_hundred_a_day_for_an_organization(setup, monkeypatch):
    limit = attempt_limits.INVITATIONS_BY_ORGANIZATION
    assert limit == Limit(200, timedelta(days=1))
    monkeypatch.setattr(attempt_limits, "INVITATIONS_BY_ORGANIZATION", Limit(2, limit.within))
    assert [setup.add(f"m{n}@customer.example").status_code for n in range(2)] == [201, 201]
    refused = setup.add()
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert (
        "200 invitations" in refused.json["detail"] and int(refused.headers["Retry-After"]) > 86_000
    )
    assert setup.call("GET", "?q=mia").json["data"] == []
    setup.advance(days=1, seconds=1)
    assert setup.add().status_code == 201


def test_ten_resets_an_hour_from_one_network_with_the_same_response(setup):
    elsewhere = {"X-Forwarded-For": "198.51.100.7"}

    def reset(address, headers=None):
        body = {"email": address}
        answer = setup.service.call("POST", "/v1/password-resets", body, headers=headers)
        assert (answer.status_code, answer.json) == (202, {"accepted": True})

    for n in range(12):
        reset(f"nobody{n}@customer.example", elsewhere)
    reset(OLGA, elsewhere)
    assert setup.mails(OLGA, "/reset/") == []
    reset(OLGA)
    assert len(setup.mails(OLGA, "/reset/")) == 1, "she has signed in from this network"
    setup.service.clock.advance(hours=1, seconds=1)
    reset(OLGA, elsewhere)
    assert len(setup.mails(OLGA, "/reset/")) == 2


def test_a_member_shows_the_status_of_the_invitation(setup):
    added = setup.add()
    member_id = added.json["id"]
    assert added.json["invitation"] == {"sent_at": None, "expires_at": None, "expired": False}
    setup.service.send_mails()
    shown = setup.show(member_id)["invitation"]
    assert shown["sent_at"] < shown["expires_at"] and shown["expired"] is False
    assert setup.call("GET", "?q=mia").json["data"][0]["invitation"] == shown
    setup.advance(days=7)
    assert setup.show(member_id)["invitation"] == shown | {"expired": True}
    assert setup.resend(member_id).json["invitation"]["expired"] is False
    setup.service.accept(MIA)
    assert setup.show(member_id)["invitation"] is None
    desk = setup.call("POST", "", {"name": "Desk", "portal_access": False}).json
    assert (
        desk["invitation"] is None
        and setup.call("GET", "?q=olga").json["data"][0]["invitation"] is None
    )


def test_a_list_uses_as_many_queries_for_many_as_for_one(setup):
    executed = []
    event.listen(
        setup.service.database.engine,
        "before_cursor_execute",
        lambda *arguments: executed.append(arguments[2]),
    )

    def statements():
        executed.clear()
        assert setup.call("GET", "?limit=200").status_code == 200
        return len(executed)

    few = statements()
    for n in range(15):
        setup.add(f"m{n}@customer.example")
    assert statements() == few


def test_ten_thousand_members_and_a_hundred_admins(setup):
    rows = setup.member_rows(9_998)
    with setup.service.database.transaction() as session:
        some = [row["id"] for row in rows[:99]]
        session.execute(
            update(models.Member).where(models.Member.id.in_(some)).values(role="admin")
        )
        session.execute(
            update(models.Member)
            .where(models.Member.id == rows[200]["id"])
            .values(status="disabled")
        )
    desk = {"name": "Desk", "portal_access": False}
    assert setup.add(MIA, "admin").status_code == 201
    refused = setup.call("POST", "", desk)
    assert (refused.status_code, refused.json["code"]) == (409, "member_limit")
    assert setup.call("DELETE", f"/{rows[300]['id']}").status_code == 204
    assert setup.add("adam@customer.example", "admin").json["code"] == "admin_limit"
    assert setup.call("POST", "", desk).status_code == 201
    refused = setup.call("POST", "", desk)
    assert refused.json["code"] == "member_limit"
