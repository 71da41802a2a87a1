"""Owners, admins and the provider reset the lost one-time codes of a member."""

import re
from typing import Any

import pytest
from membership.models import Identity
from werkzeug.test import TestResponse

from tests.membership.conftest import PASSWORD, MembershipService
from tests.membership.managed_customers import ADMIN, Managed, managed
from tests.membership.support_setup import texts
from tests.membership.test_security import Phone, log_in, switch_on

MIKE, ADAM = "mike@customer.example", "adam@customer.example"
NEW = "seven quiet herons wait"


@pytest.fixture
def theirs(service: MembershipService) -> Managed:
    """A customer that its provider manages. Mike has joined it and has one-time codes."""
    return service.prepared("with codes", lambda: _with_codes(managed(service, "provider")))


def _with_codes(theirs: Managed) -> Managed:
    phone, _ = switch_on(theirs.service, theirs.joined(theirs.mike, MIKE))
    theirs.secret = phone.totp.secret  # type: ignore[attr-defined]
    return theirs


@pytest.fixture
def elsewhere(theirs: Managed) -> Managed:
    """Mike is invited to another organization too, and has not joined it."""
    organization_id, sam = theirs.service.owner("sam@second.example", name="Second")
    body = {"name": "Mike", "email": MIKE, "role": "member", "portal_access": True}
    theirs.ask("POST", f"/v1/organizations/{organization_id}/members", body, sam)
    return theirs


def reset(theirs: Managed, member_id: str, token: str = "") -> tuple[int, str]:
    path = f"{theirs.members}/{member_id}/reset-mfa"
    answer = theirs.ask("POST", path, None, token or theirs.support.owner)
    return answer.status_code, answer.json.get("code", "")


def link(theirs: Managed) -> str:
    sent = "".join(text for text in texts(theirs.service.send_mails()))
    return str(re.findall(r"https://app\.example/reset-codes/(\S+)", sent)[-1])


def use(theirs: Managed, token: str, password: str = PASSWORD) -> TestResponse:
    body = {"password": password}
    return theirs.support.call("POST", f"/v1/mfa-resets/{token}", body)


def outcome(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, (answer.json or {}).get("code", "")


def has_codes(theirs: Managed) -> bool:
    answer = log_in(theirs.service, address=MIKE)
    return bool(answer.status_code == 401 and answer.json["code"] == "otp_required")


def actors(theirs: Managed, action: str) -> list[tuple[str, Any]]:
    return [(row.organization_id, row.actor["kind"]) for row in theirs.support.rows(action)]


# --- who belongs to no other organization


def test_it_takes_effect_at_once(theirs: Managed) -> None:
    token = theirs.service.log_in(MIKE, otp=phone(theirs).next())["access_token"]
    known = len(theirs.service.send_mails())

    assert reset(theirs, theirs.mike) == (202, "")

    assert not has_codes(theirs) and theirs.service.is_revoked(token)
    assert actors(theirs, "mfa.reset") == [(theirs.support.organization_id, "member")]
    [mail] = theirs.service.send_mails()[known:]
    assert mail["To"] == MIKE and "Olga Owner turned off the one-time codes" in texts([mail])[0]


def phone(theirs: Managed) -> Phone:
    return Phone(theirs.service, theirs.secret)  # type: ignore[attr-defined]


def test_a_password_that_is_too_short_without_codes_is_reset_with_them(theirs: Managed) -> None:
    token = theirs.service.log_in(MIKE, otp=phone(theirs).next())["access_token"]
    short = {"password": PASSWORD, "new_password": "k3lp;gnu7Q", "otp": phone(theirs).next()}
    assert theirs.ask("POST", "/v1/me/password", short, token).status_code == 201

    assert reset(theirs, theirs.mike) == (202, "")

    assert outcome(log_in(theirs.service, address=MIKE, password="k3lp;gnu7Q"))[0] == 401
    assert not has_codes(theirs)


def test_it_says_nothing_about_people_without_codes(theirs: Managed) -> None:
    theirs.joined(theirs.adam, ADAM)
    known = len(theirs.service.send_mails())

    for member_id in (theirs.desk, theirs.dora, theirs.adam):
        assert reset(theirs, member_id) == (202, "")

    [mail] = theirs.service.send_mails()[known:]
    assert mail["To"] == ADAM and "nothing has changed" in texts([mail])[0], (
        "who has joined is told"
    )
    assert actors(theirs, "mfa.") == [(theirs.support.organization_id, "member")], "enabled"


# --- who belongs to another one too


def test_others_do_it_themselves_by_a_link_and_with_their_password(elsewhere: Managed) -> None:
    theirs, service = elsewhere, elsewhere.service
    token = service.log_in(MIKE, otp=phone(theirs).next())["access_token"]

    assert reset(theirs, theirs.mike) == (202, "")

    assert has_codes(theirs) and not service.is_revoked(token), "nothing changes yet"
    path = f"/v1/mfa-resets/{link(theirs)}"
    shown = service.call("GET", path).json
    assert (shown["purpose"], shown["email"]) == ("reset_mfa", MIKE)
    assert shown["password_required"] is False
    wrong = service.call("POST", path, {"password": NEW})
    assert outcome(wrong) == (401, "invalid_credentials") and has_codes(theirs)
    used = service.call("POST", path, {"password": PASSWORD})
    assert (used.status_code, used.json) == (201, {"reset": True, "email": MIKE})
    assert not has_codes(theirs) and service.is_revoked(token)
    assert outcome(service.call("POST", path, {"password": PASSWORD})) == (410, "link_spent")
    here = (theirs.support.organization_id, "member")
    assert actors(theirs, "mfa.reset_asked") == [here]
    assert [row for row in actors(theirs, "mfa.reset") if row[0] != here[0]] == []
    assert "no longer requires a one-time code" in texts(service.send_mails())[-1]


@pytest.mark.usefixtures("stopped_clock")
def test_wrong_passwords_at_the_link_count_like_those_at_sign_in(elsewhere: Managed) -> None:
    reset(elsewhere, elsewhere.mike)
    token = link(elsewhere)

    outcomes = [outcome(use(elsewhere, token, NEW)) for _ in range(6)]

    assert outcomes == [(401, "invalid_credentials")] * 5 + [(429, "too_many_attempts")]
    assert outcome(log_in(elsewhere.service, address=MIKE)) == (429, "too_many_attempts")
    assert outcome(use(elsewhere, token)) == (429, "too_many_attempts")
    elsewhere.service.clock.advance(minutes=20)
    assert outcome(use(elsewhere, token)) == (201, "")


@pytest.mark.parametrize("change", ["later", "switched", "password", "newer", "disabled", "moved"])
def test_a_link_loses_its_use(elsewhere: Managed, change: str) -> None:
    theirs, service, password = elsewhere, elsewhere.service, PASSWORD
    reset(theirs, theirs.mike)
    token = link(theirs)
    if change == "later":
        service.clock.advance(hours=24, seconds=1)
    elif change == "switched":
        mikes = service.log_in(MIKE, otp=phone(theirs).next())["access_token"]
        assert theirs.ask("DELETE", "/v1/me/totp", None, mikes).status_code == 204
        switch_on(service, mikes)
    elif change == "password":
        service.call("POST", "/v1/password-resets", {"email": MIKE})
        path, password = f"/v1/password-resets/{service.link(MIKE)}", NEW
        assert service.call("POST", path, {"password": NEW}).status_code == 201
    elif change == "newer":
        reset(theirs, theirs.mike)
        assert link(theirs) != token
    elif change == "disabled":
        theirs.ask("POST", f"{theirs.members}/{theirs.mike}/disable", None, theirs.support.owner)
    else:
        at = f"{theirs.members}/{theirs.mike}"
        theirs.ask("PATCH", at, {"email": "mike@new.example"}, theirs.support.owner)
        service.accept("mike@new.example")

    assert outcome(use(theirs, token, password)) == (410, "link_spent")
    assert outcome(service.call("GET", f"/v1/mfa-resets/{token}")) == (410, "link_spent")


def test_a_queued_link_is_not_sent_once_the_codes_were_switched(elsewhere: Managed) -> None:
    theirs = elsewhere
    mikes = theirs.service.log_in(MIKE, otp=phone(theirs).next())["access_token"]
    known = len(theirs.service.send_mails())
    reset(theirs, theirs.mike)

    theirs.ask("DELETE", "/v1/me/totp", None, mikes)

    subjects = [mail["Subject"] for mail in theirs.service.send_mails()[known:]]
    assert subjects == ["One-time codes are now off for your login"]


def test_a_link_of_another_purpose_resets_nothing(elsewhere: Managed) -> None:
    service = elsewhere.service
    service.call("POST", "/v1/password-resets", {"email": MIKE})
    assert outcome(use(elsewhere, service.link(MIKE))) == (404, "not_found")
    reset(elsewhere, elsewhere.mike)
    body = {"password": NEW}
    for resource in ("password-resets", "verifications"):
        answer = service.call("POST", f"/v1/{resource}/{link(elsewhere)}", body)
        assert outcome(answer) == (404, "not_found")
    assert has_codes(elsewhere)


# --- who may


def test_nobody_resets_the_codes_of_a_higher_rank(theirs: Managed) -> None:
    adam = theirs.joined(theirs.adam, ADAM)
    ann = theirs.add("ann@customer.example", **ADMIN)
    staff = theirs.of_the_provider()
    switch_on(theirs.service, adam)

    assert reset(theirs, theirs.olga, adam) == (403, "forbidden")
    for name in ("support", "k"):
        assert reset(theirs, theirs.mike, staff[name]) == (403, "forbidden")
    acting = theirs.support.login_as(theirs.olga).json["access_token"]
    assert reset(theirs, theirs.mike, acting) == (403, "forbidden")
    assert has_codes(theirs)
    assert reset(theirs, ann, adam) == reset(theirs, theirs.mike, adam) == (202, "")
    assert not has_codes(theirs)
    assert reset(theirs, theirs.adam, staff["manager"]) == (202, "")
    assert outcome(log_in(theirs.service, address=ADAM)) == (201, "")


def test_ones_own_codes_stay_on_and_the_email_says_what_to_do(theirs: Managed) -> None:
    adam = theirs.joined(theirs.adam, ADAM)
    switch_on(theirs.service, adam)
    known = len(theirs.service.send_mails())

    for _ in range(7):
        assert reset(theirs, theirs.adam, adam) == (202, ""), "the same response as for others"
    assert reset(theirs, theirs.olga) == (202, ""), "who has none"

    assert outcome(log_in(theirs.service, address=ADAM)) == (401, "otp_required")
    assert not theirs.service.is_revoked(adam) and actors(theirs, "mfa.reset") == []
    to_adam, to_olga = theirs.service.send_mails()[known:][:5], theirs.service.send_mails()[-1]
    assert [mail["To"] for mail in (*to_adam, to_olga)] == [ADAM] * 5 + ["olga@customer.example"]
    for text in texts(to_adam):
        assert "Your codes are still on" in text and "recovery code" in text
        assert "https://" not in text
    assert "They are not on" in texts([to_olga])[0]


def test_staff_who_are_members_too_cannot_reset_their_own(theirs: Managed) -> None:
    sue = theirs.service.claims(theirs.support.staff)
    with theirs.service.database.reading() as session:
        email = session.get_one(Identity, sue["sub"]).email or ""
    there = theirs.add(email, role="member", portal_access=True)
    theirs.service.accept(email)
    switch_on(theirs.service, theirs.support.fresh())

    token = theirs.support.staff
    assert reset(theirs, there, token) == (202, "")

    assert outcome(log_in(theirs.service, address=email)) == (401, "otp_required")
    mail = theirs.service.send_mails()[-1]
    assert mail["To"] == email and "Your codes are still on" in texts([mail])[0]


def test_staff_weaken_no_admin_of_a_customer_that_manages_itself(theirs: Managed) -> None:
    """Who has the power there confirms it with the password, also who is in no other one."""
    switch_on(theirs.service, theirs.joined(theirs.adam, ADAM))
    theirs.managed_by("customer")
    for member_id in (theirs.olga, theirs.dora):
        for token in (theirs.support.staff, theirs.support.boss):
            assert reset(theirs, member_id, token) == (202, "")
    assert reset(theirs, theirs.adam, theirs.support.staff) == (202, "")

    assert outcome(log_in(theirs.service, address=ADAM)) == (401, "otp_required")
    mails = theirs.service.send_mails()
    assert mails[-1]["To"] == ADAM and "Your provider" in texts(mails)[-1]
    assert theirs.support.staff_details_in(*texts(mails)) == []
    token = link(theirs)
    assert outcome(use(theirs, token, NEW)) == (401, "invalid_credentials")
    assert outcome(use(theirs, token)) == (201, "")
    assert outcome(log_in(theirs.service, address=ADAM)) == (201, "")

    assert reset(theirs, theirs.mike, theirs.support.staff) == (202, "")
    assert not has_codes(theirs), "a member's, at once"
