"""Owners, admins and the provider end the sessions of a member in their organization."""

import pytest

from tests.membership.conftest import MembershipService
from tests.membership.managed_customers import ADMIN, Managed, managed
from tests.membership.support_setup import texts

MIKE, ADAM = "mike@customer.example", "adam@customer.example"


@pytest.fixture
def theirs(service: MembershipService) -> Managed:
    """A customer that its provider manages."""
    return managed(service, "provider")


def end(theirs: Managed, member_id: str, token: str) -> tuple[int, str]:
    answer = theirs.ask("POST", f"{theirs.members}/{member_id}/end-sessions", None, token)
    return answer.status_code, answer.json.get("code", "")


def test_sessions_end_in_that_organization_only(theirs: Managed) -> None:
    token = theirs.joined(theirs.mike, MIKE)
    refresh = theirs.service.log_in(MIKE)["refresh_token"]
    acting = theirs.support.login_as(theirs.mike).json["access_token"]
    elsewhere, sam = theirs.service.owner("sam@second.example", name="Second")
    body = {"name": "Mike", "email": MIKE, "role": "member", "portal_access": True}
    theirs.ask("POST", f"/v1/organizations/{elsewhere}/members", body, sam)
    theirs.service.accept(MIKE)
    there = theirs.service.log_in(MIKE, organization_id=elsewhere)["access_token"]

    assert end(theirs, theirs.mike, theirs.support.owner) == (202, "")

    assert theirs.service.is_revoked(token) and theirs.service.is_revoked(acting)
    refused = theirs.support.call("POST", "/v1/sessions/refresh", {"refresh_token": refresh})
    assert refused.status_code == 401
    assert not theirs.service.is_revoked(there)
    assert not theirs.service.is_revoked(theirs.support.owner)
    assert theirs.service.log_in(MIKE)["access_token"], "access stays"
    [row] = theirs.support.rows("member.sessions_ended")
    assert (row.organization_id, row.target["id"]) == (theirs.support.organization_id, theirs.mike)
    assert row.changes == [{"field": "sessions", "before": 2, "after": 0}]


def test_the_person_is_told(theirs: Managed) -> None:
    theirs.joined(theirs.mike, MIKE)
    known = len(theirs.service.send_mails())

    for _ in range(7):
        assert end(theirs, theirs.mike, theirs.support.owner) == (202, "")
    assert end(theirs, theirs.mike, theirs.support.boss) == (202, "")
    theirs.service.clock.advance(hours=1, seconds=1)
    assert end(theirs, theirs.mike, theirs.support.fresh()) == (202, "")

    mails = theirs.service.send_mails()[known:]
    assert [mail["To"] for mail in mails] == [MIKE] * 6, "five an hour"
    assert "Olga Owner ended all sessions of your login at Acme Ltd" in texts(mails)[0]
    assert "Your provider ended all sessions" in texts(mails)[-1]
    assert theirs.support.staff_details_in(*texts(mails)) == []


def test_the_answer_says_nothing_about_the_member(theirs: Managed) -> None:
    known = len(theirs.service.send_mails())

    for member_id in (theirs.desk, theirs.mike, theirs.dora):
        assert end(theirs, member_id, theirs.support.owner) == (202, "")

    assert len(theirs.service.send_mails()) == known, "none of them has joined"
    assert end(theirs, theirs.helper, theirs.support.owner) == (404, "not_found")


def test_nobody_of_a_higher_rank(theirs: Managed) -> None:
    adam, mike = theirs.joined(theirs.adam, ADAM), theirs.joined(theirs.mike, MIKE)
    other = theirs.add("ann@customer.example", **ADMIN)
    boss_id = theirs.service.claims(theirs.support.boss)["mid"]
    staff = {name: theirs.of_the_provider()[name] for name in ("support", "manager", "k")}
    home = f"/v1/organizations/{theirs.support.provider_id}/members"

    def at_home(member_id: str) -> int:
        path = f"{home}/{member_id}/end-sessions"
        return theirs.ask("POST", path, None, staff["manager"]).status_code

    assert end(theirs, other, adam) == end(theirs, theirs.mike, adam) == (202, "")
    assert end(theirs, theirs.olga, adam) == (403, "forbidden")
    assert end(theirs, theirs.mike, mike) == (403, "forbidden")
    for name in ("support", "k"):
        assert end(theirs, theirs.mike, staff[name]) == (403, "forbidden")
    assert end(theirs, theirs.olga, staff["manager"]) == (202, "")
    assert at_home(theirs.helper) == at_home(theirs.service.claims(staff["manager"])["mid"]) == 202
    assert at_home(boss_id) == 403


def test_staff_end_sessions_where_a_customer_manages_itself_but_not_while_acting(
    service: MembershipService,
) -> None:
    acme = managed(service, "customer")

    assert end(acme, acme.adam, acme.support.staff) == (202, "")
    grant = acme.support.request().json["id"]
    acme.ask("POST", f"{acme.support.grants_path}/{grant}/approve", {}, acme.support.owner)
    token = acme.support.enter(grant).json["access_token"]
    assert end(acme, acme.mike, token) == (403, "forbidden")
