"""How Login As begins: who may act as whom, with which token and record, how often."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from contracts import org
from membership.actions import audit_log

from tests.membership.login_as.conftest import staff_path
from tests.membership.support_setup import SupportSetup


def test_the_token_is_for_the_member_and_names_who_acts(
    support: SupportSetup, jane: tuple[str, str]
) -> None:
    answer = support.login_as(jane[0])

    assert answer.status_code == 201, answer.text
    claims, theirs = (
        support.service.claims(answer.json["access_token"]),
        support.service.claims(jane[1]),
    )
    staff, one = support.service.claims(support.staff), support.acting_sessions()[0]
    same = ("sub", "mid", "org", "kind", "role", "name")
    assert {name: claims[name] for name in same} == {name: theirs[name] for name in same}
    assert (
        {"members:read", "members:edit"}
        <= set(claims["scope"].split())
        < set(theirs["scope"].split())
    )
    assert not {"members:remove", "pin:reset", "support:consent"} & set(answer.json["scopes"])
    assert (
        claims["act"]
        == answer.json["act"]
        == {
            "sub": staff["sub"],
            "org": support.provider_id,
            "sid": staff["sid"],
            "mode": "login_as",
            "access": "full",
            "name": "Staff.svensson Newcomer",
            "acting": one.id,
        }
    )
    assert (claims["sid"], claims["proved"]) == (one.id, 0) and "must_prove" not in claims
    assert (
        claims["exp"] - claims["iat"] == pytest.approx(1800, abs=0.001)
        and answer.json["expires_in"] == 1800
    )
    assert (answer.json["token_type"], answer.json["member_id"]) == ("Bearer", jane[0])
    assert set(answer.json) == {
        "access_token",
        "token_type",
        "expires_in",
        "act",
        "organization",
        "member_id",
        "role",
        "scopes",
    }


def test_the_audit_log_has_the_reason_and_both_people(
    support: SupportSetup, jane: tuple[str, str], token: str
) -> None:
    support.call("DELETE", "/v1/sessions/current", token=token)

    started, ended = support.rows("member.login_as.")
    claims, staff = support.service.claims(token), support.service.claims(support.staff)
    assert (started.action, started.reason) == ("member.login_as.started", "their screen is odd")
    assert started.target == {"type": "member", "id": jane[0], "label": "Jane Newcomer"}
    assert (started.actor["kind"], started.actor["id"]) == ("support", claims["sub"])
    assert (
        started.actor["acting"]["sub"] == staff["sub"] and started.actor["label"] == "Jane Newcomer"
    )
    assert (ended.action, ended.reason, ended.actor["kind"]) == (
        "member.login_as.ended",
        "stopped",
        "support",
    )
    assert started.changes == [{"field": "acting_session", "before": None, "after": claims["sid"]}]


def test_no_session_begins_without_its_audit_record(
    support: SupportSetup, jane: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no audit")

    with monkeypatch.context() as broken:
        broken.setattr(audit_log.audit, "record", fails)
        answer = support.login_as(jane[0])

    assert answer.status_code == 500 and "access_token" not in answer.text
    assert support.acting_sessions() == [] and support.rows("member.login_as.") == []


REFUSED: dict[str, Callable[[SupportSetup, str, str], Any]] = {
    "login-less": lambda s, m, path: s.call("PATCH", path, {"portal_access": False}, token=s.boss),
    "disabled": lambda s, m, path: s.call("POST", f"{path}/disable", token=s.boss),
}


@pytest.mark.parametrize("how", REFUSED)
def test_staff_act_only_as_members_who_can_log_in(
    support: SupportSetup, jane: tuple[str, str], how: str
) -> None:
    changed = REFUSED[how](
        support, jane[0], f"/v1/organizations/{support.organization_id}/members/{jane[0]}"
    )
    assert changed.status_code == 200, changed.text

    answer = support.login_as(jane[0])

    assert (answer.status_code, answer.json["code"]) == (409, "member_not_eligible"), answer.text
    assert support.acting_sessions() == []


def test_staff_act_only_as_members_who_have_joined(support: SupportSetup) -> None:
    body = {"name": "Kim", "email": "kim@customer.example", "portal_access": True, "role": "member"}
    path = f"/v1/organizations/{support.organization_id}/members"
    invited = support.call("POST", path, body, token=support.owner).json

    answer = support.login_as(invited["id"])

    assert (answer.status_code, answer.json["code"]) == (409, "member_not_eligible"), answer.text


def test_nobody_acts_as_themselves_or_as_a_colleague(support: SupportSetup) -> None:
    colleague = support.service.claims(support.other)["mid"]
    support.call(
        "POST",
        f"/v1/organizations/{support.organization_id}/members",
        {
            "name": "Also Here",
            "email": "staff.svensson@provider.example",
            "role": "member",
            "portal_access": True,
        },
        token=support.boss,
    )
    support.service.accept("staff.svensson@provider.example")
    listed = support.call(
        "GET", f"/v1/organizations/{support.organization_id}/members?q=Also", token=support.boss
    ).json
    own = listed["data"][0]["id"]

    as_colleague = support.call(
        "POST",
        f"/v1/organizations/{support.provider_id}/members/{colleague}/login-as",
        {"reason": "x"},
        token=support.staff,
    )
    as_oneself = support.login_as(own)

    for answer in (as_colleague, as_oneself):
        assert (answer.status_code, answer.json["code"]) == (409, "member_not_eligible"), (
            answer.text
        )
    assert support.acting_sessions() == []


def test_no_login_as_in_an_inactive_organization(
    support: SupportSetup, jane: tuple[str, str]
) -> None:
    support.service.receive(
        org.OrganizationSuspended(
            organization_id=support.organization_id, provider_id=support.provider_id
        )
    )

    answer = support.login_as(jane[0])

    assert (answer.status_code, answer.json["code"]) == (409, "organization_not_active")


def test_another_providers_member_does_not_exist(
    support: SupportSetup, jane: tuple[str, str]
) -> None:
    foreign, _ = support.service.owner("else@other.example")

    path = f"/v1/organizations/{foreign}/members/{jane[0]}/login-as"
    assert support.call("POST", path, {"reason": "x"}, token=support.staff).status_code == 404
    path = f"/v1/organizations/{support.provider_id}/members/{jane[0]}/login-as"
    assert support.call("POST", path, {"reason": "x"}, token=support.staff).status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": "x" * 501}, {"reason": 1}, {"reason": "x", "more": 1}]
)
def test_a_reason_is_required(
    support: SupportSetup, jane: tuple[str, str], body: dict[str, Any]
) -> None:
    path = f"/v1/organizations/{support.organization_id}/members/{jane[0]}/login-as"

    assert support.call("POST", path, body, token=support.staff).status_code == 422


def test_one_session_at_a_time_and_the_error_says_how_to_end_it(
    support: SupportSetup, jane: tuple[str, str], token: str
) -> None:
    again = support.login_as(jane[0])
    held = support.service.claims(token)["sid"]
    other = support.login_as(jane[0], token=support.other)

    assert (again.status_code, again.json["code"]) == (409, "already_acting")
    assert (
        again.json["acting_session_id"] == held and "DELETE /v1/sessions/" in again.json["detail"]
    )
    assert other.status_code == 201
    assert support.call("DELETE", f"/v1/sessions/{held}", token=support.staff).status_code == 204
    assert support.login_as(jane[0]).status_code == 201
    assert support.service.is_revoked(token) and not support.service.is_revoked(
        other.json["access_token"]
    )


def test_ten_starts_an_hour_and_thirty_a_day(support: SupportSetup, jane: tuple[str, str]) -> None:
    def start() -> Any:
        answer = support.login_as(jane[0], token=support.fresh())
        if answer.status_code == 201:
            support.call("DELETE", "/v1/sessions/current", token=answer.json["access_token"])
        return answer

    statuses = []
    for _ in range(3):
        statuses += [start().status_code for _ in range(10)]
        limited = start()
        assert (limited.status_code, limited.json["code"]) == (429, "too_many_starts")
        assert 3000 < int(limited.headers["Retry-After"]) <= 3601 or len(statuses) == 30
        support.service.clock.advance(minutes=61)

    assert statuses == [201] * 30
    of_the_day = start()
    assert of_the_day.status_code == 429 and int(of_the_day.headers["Retry-After"]) > 20 * 3600
    support.service.clock.advance(hours=24)
    assert start().status_code == 201


def test_staff_without_required_codes_begin_nothing_with_an_older_token(
    support: SupportSetup, jane: tuple[str, str]
) -> None:
    staff, grant = support.fresh(), support.request().json["id"]
    support.settings(version=2, managed_service=True, mfa_required=True)

    for refused in (support.login_as(jane[0], token=staff), support.enter(grant, token=staff)):
        assert (refused.status_code, refused.json["code"]) == (403, "mfa_required")


def test_staff_whose_role_has_changed_cannot_start(
    support: SupportSetup, jane: tuple[str, str]
) -> None:
    path = staff_path(support)
    support.call("PATCH", path, {"preset": "viewer"}, token=support.boss)

    answer = support.login_as(jane[0])

    assert (answer.status_code, answer.json["code"]) == (401, "token_revoked")


@pytest.mark.parametrize("preset", ["viewer", "support", "billing"])
def test_only_managers_and_the_owner_act_as_members(
    support: SupportSetup, jane: tuple[str, str], preset: str
) -> None:
    _, token = support.member("pia@provider.example", at=support.provider_id, preset=preset)

    assert support.login_as(jane[0], token=token).status_code == 403
    assert support.login_as(jane[0], token=support.boss).status_code == 201


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_of_many_concurrent_starts_one_succeeds(
    support: SupportSetup, jane: tuple[str, str]
) -> None:
    with ThreadPoolExecutor(6) as pool:
        started = list(pool.map(lambda _: support.login_as(jane[0]), range(6)))

    assert sorted(answer.status_code for answer in started) == [201, 409, 409, 409, 409, 409]
    assert {answer.json["code"] for answer in started if answer.status_code == 409} == {
        "already_acting"
    }
