"""Login As: staff act as a member of a customer for half an hour, under both names."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib import import_module
from typing import Any

import pyotp
import pytest
from chassis.auth.permissions import CUSTOMER
from contracts import membership, org
from membership.actions import acting_sessions, audit_log
from membership.guard import OPERATIONS
from membership.models import LoginSession

from tests.house import endpoints
from tests.membership.conftest import PASSWORD, MembershipService
from tests.membership.support_setup import SupportSetup, support_setup

MICROSECOND = timedelta(microseconds=1)


def _staff_path(support: SupportSetup) -> str:
    member_id = support.service.claims(support.staff)["mid"]
    return f"/v1/organizations/{support.provider_id}/members/{member_id}"


@pytest.fixture
def support(service: MembershipService) -> SupportSetup:
    return support_setup(service)


@pytest.fixture
def jane(support: SupportSetup) -> tuple[str, str]:
    return support.member("jane@customer.example", role="admin")


@pytest.fixture
def token(support: SupportSetup, jane: tuple[str, str]) -> str:
    return support.login_as(jane[0]).json["access_token"]


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


# --- who can't be acted as

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


# --- how often, how many


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


# --- ends


def _leave(call: str, path: str) -> Callable[[SupportSetup, dict[str, str]], Any]:
    return lambda s, t: s.call(call, path.format(**t), token=t["who"])


def _move(support: SupportSetup, path: str) -> None:
    """The membership goes to the person who has another address, once that is proved."""
    email = "new@customer.example"
    assert support.call("PATCH", path, {"email": email}, token=support.boss).status_code == 200
    support.service.accept(email)


ENDS: dict[str, tuple[str, str, Callable[[SupportSetup, dict[str, str]], Any]]] = {
    "by its own token": ("stopped", "token", _leave("DELETE", "/v1/sessions/current")),
    "by the staff member": ("stopped", "staff", _leave("DELETE", "/v1/sessions/{sid}")),
    "by the member": ("revoked_by_customer", "jane", _leave("DELETE", "/v1/sessions/{sid}")),
    "by the owner": ("revoked_by_customer", "owner", _leave("DELETE", "{support}/{sid}")),
    "by a colleague": ("forced_by_provider", "other", _leave("DELETE", "{support}/{sid}")),
    "staff signs out": ("staff_session_ended", "staff", _leave("DELETE", "/v1/sessions/current")),
    "staff is disabled": ("staff_session_ended", "boss", _leave("POST", "{staff_path}/disable")),
    "staff is removed": ("staff_session_ended", "boss", _leave("DELETE", "{staff_path}")),
    "staff becomes less": (
        "forced_by_provider",
        "boss",
        lambda s, t: s.call("PATCH", t["staff_path"], {"preset": "viewer"}, token=s.boss),
    ),
    "member is disabled": ("member_changed", "boss", _leave("POST", "{path}/disable")),
    "member is removed": ("member_changed", "boss", _leave("DELETE", "{path}")),
    "member moves": (
        "member_changed",
        "boss",
        lambda s, t: _move(s, t["path"]),
    ),
    "member loses the login": (
        "member_changed",
        "boss",
        lambda s, t: s.call("PATCH", t["path"], {"portal_access": False}, token=s.boss),
    ),
    "member has another role": (
        "member_changed",
        "boss",
        lambda s, t: s.call("PATCH", t["path"], {"role": "member"}, token=s.boss),
    ),
    "organization suspended": (
        "organization_changed",
        "",
        lambda s, t: s.service.receive(
            org.OrganizationSuspended(organization_id=s.organization_id, provider_id=s.provider_id)
        ),
    ),
    "organization closed": (
        "organization_changed",
        "",
        lambda s, t: s.service.receive(
            org.EndAccess(
                organization_id=s.organization_id, deletion_id="del_01k9jm4h6jf2sb9c1d0e5f7g8h"
            )
        ),
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_it_ends(support: SupportSetup, jane: tuple[str, str], token: str, how: str) -> None:
    why, who, end = ENDS[how]
    known = {
        "sid": support.service.claims(token)["sid"],
        "support": support.grants_path,
        "path": f"/v1/organizations/{support.organization_id}/members/{jane[0]}",
        "staff_path": _staff_path(support),
        "who": {"token": token, "jane": jane[1]}.get(who) or getattr(support, who, ""),
    }
    assert not support.service.is_revoked(token)

    answer = end(support, known)

    assert answer is None or answer.status_code in (200, 204), answer.text
    assert support.service.is_revoked(token), "the gateway goes on letting it in"
    assert support.end_reasons() == [why] and support.rows("member.login_as.ended")[0].reason == why
    one = support.acting_sessions()[0]
    assert one.ended_why == why and one.ended_at is not None


def _switch_on(support: SupportSetup, token: str) -> Any:
    secret = support.call("POST", "/v1/me/totp", token=token).json["secret"]
    otp = pyotp.TOTP(secret).at(support.service.clock.now())
    return support.call("POST", "/v1/me/totp/confirm", {"otp": otp}, token=token)


def _reset(support: SupportSetup, _token: str) -> Any:
    support.call("POST", "/v1/password-resets", {"email": JANE})
    path = f"/v1/password-resets/{support.service.link(JANE)}"
    return support.call("POST", path, {"password": NEW_PASSWORD})


JANE, NEW_PASSWORD = "jane@customer.example", "seven quiet herons wait"
NEW = {"password": PASSWORD, "new_password": NEW_PASSWORD}
# What a person does to keep everybody else out, with their own token.
KEEPS_OUT: dict[str, Callable[[SupportSetup, str], Any]] = {
    "signs out everywhere": lambda s, jane: s.call("DELETE", "/v1/sessions", token=jane),
    "changes the password": lambda s, jane: s.call("POST", "/v1/me/password", NEW, token=jane),
    "resets the password": _reset,
    "switches codes on": _switch_on,
    "switches codes off": lambda s, jane: s.call("DELETE", "/v1/me/totp", token=jane),
}


@pytest.mark.parametrize("how", KEEPS_OUT)
def test_who_keeps_everybody_out_keeps_staff_out_everywhere(
    support: SupportSetup, jane: tuple[str, str], how: str
) -> None:
    service, other = support.service, support.fresh("staff")
    second, _ = service.owner("sam@second.example", provider_id=support.provider_id, name="Second")
    there = support.member(JANE, at=second)[0]
    if how == "switches codes off":
        assert _switch_on(support, jane[1]).status_code == 201
    path = f"/v1/organizations/{second}/members/{there}/login-as"
    acting = support.call("POST", path, {"reason": "r"}, token=other).json["access_token"]
    owner_id = service.claims(support.owner)["mid"]
    as_owner = support.login_as(owner_id, token=support.other).json["access_token"]

    done = KEEPS_OUT[how](support, jane[1])

    assert done.status_code in (201, 204), done.text
    assert service.is_revoked(acting) and not service.is_revoked(as_owner)
    assert support.end_reasons() == ["revoked_by_customer"]


def test_requiring_codes_ends_the_sessions_of_staff_without_codes(
    support: SupportSetup, token: str
) -> None:
    service = support.service
    inside = support.enter(support.request().json["id"], token=support.other).json["access_token"]
    assert _switch_on(support, support.boss).status_code == 201
    owner_id = service.claims(support.owner)["mid"]
    with_code = support.login_as(owner_id, token=support.boss).json["access_token"]

    support.settings(version=2, managed_service=True, mfa_required=True)

    assert service.is_revoked(token) and service.is_revoked(inside)
    assert not service.is_revoked(with_code)
    assert support.end_reasons() == ["forced_by_provider", "forced_by_provider"]


def test_staff_without_required_codes_begin_nothing_with_an_older_token(
    support: SupportSetup, jane: tuple[str, str]
) -> None:
    staff, grant = support.fresh(), support.request().json["id"]
    support.settings(version=2, managed_service=True, mfa_required=True)

    for refused in (support.login_as(jane[0], token=staff), support.enter(grant, token=staff)):
        assert (refused.status_code, refused.json["code"]) == (403, "mfa_required")


def test_ending_one_of_ones_sessions_leaves_staff_in(
    support: SupportSetup, jane: tuple[str, str], token: str
) -> None:
    assert support.call("DELETE", "/v1/sessions/current", token=jane[1]).status_code == 204

    assert not support.service.is_revoked(token)


def test_it_expires_to_the_microsecond(support: SupportSetup, token: str) -> None:
    due = support.acting_sessions()[0].expires_at

    with support.service.database.transaction() as session:
        early = acting_sessions.end_expired(session, now=due - MICROSECOND)
    with support.service.database.transaction() as session:
        at = acting_sessions.end_expired(session, now=due)

    assert (early, at) == (0, 1)
    assert support.end_reasons() == ["expired"] and support.acting_sessions()[0].ended_at == due
    assert support.rows("member.login_as.ended")[0].actor[
        "kind"
    ] == "system" and support.service.is_revoked(token)


def test_an_expired_session_blocks_nothing(
    support: SupportSetup, jane: tuple[str, str], token: str
) -> None:
    support.service.clock.advance(minutes=30)

    assert support.login_as(jane[0], token=support.fresh()).status_code == 201
    assert support.end_reasons() == ["expired"]


def test_it_ends_with_the_staff_members_own_session(
    support: SupportSetup, jane: tuple[str, str]
) -> None:
    with support.service.database.transaction() as session:
        login = session.get_one(LoginSession, support.service.claims(support.staff)["sid"])
        login.expires_at = support.service.clock.now() + timedelta(minutes=10)

    answer = support.login_as(jane[0])

    assert 590 < answer.json["expires_in"] <= 600


def test_staff_whose_role_has_changed_cannot_start(
    support: SupportSetup, jane: tuple[str, str]
) -> None:
    path = _staff_path(support)
    support.call("PATCH", path, {"preset": "viewer"}, token=support.boss)

    answer = support.login_as(jane[0])

    assert (answer.status_code, answer.json["code"]) == (401, "token_revoked")


def test_support_does_not_get_the_members_idempotent_responses(
    support: SupportSetup, jane: tuple[str, str]
) -> None:
    body = {
        "name": "Late",
        "email": "late@customer.example",
        "role": "member",
        "portal_access": True,
    }
    path = f"/v1/organizations/{support.organization_id}/members"
    late = support.call("POST", path, body, token=support.owner).json["id"]
    support.service.clock.advance(minutes=2)
    key = {"Idempotency-Key": "one"}

    def resend(token: str) -> Any:
        return support.call("POST", f"{path}/{late}/resend-verification", token=token, headers=key)

    theirs = support.service.log_in(
        "jane@customer.example", organization_id=support.organization_id
    )["access_token"]
    first, inside = (
        resend(theirs),
        resend(support.login_as(jane[0], token=support.fresh()).json["access_token"]),
    )

    assert first.status_code < 300, first.text
    assert inside.status_code == 429 and "Idempotent-Replayed" not in inside.headers


def test_an_ended_support_session_is_not_listed(
    support: SupportSetup, jane: tuple[str, str], token: str
) -> None:
    sid = support.service.claims(token)["sid"]
    support.call("DELETE", f"/v1/sessions/{sid}", token=support.staff)

    assert support.call("DELETE", f"/v1/sessions/{sid}", token=support.staff).status_code == 404
    assert (
        support.call("DELETE", f"{support.grants_path}/{sid}", token=support.staff).status_code
        == 204
    )
    assert support.end_reasons() == ["stopped"]


def test_other_people_cannot_end_it(
    support: SupportSetup, jane: tuple[str, str], token: str
) -> None:
    sid = support.service.claims(token)["sid"]
    _, mary = support.member("mary@customer.example")
    foreign, stranger = support.service.owner("else@other.example")

    assert support.call("DELETE", f"/v1/sessions/{sid}", token=mary).status_code == 404
    assert support.call("DELETE", f"{support.grants_path}/{sid}", token=mary).status_code == 403
    assert support.call("DELETE", f"{support.grants_path}/{sid}", token=stranger).status_code == 404
    path = f"/v1/organizations/{foreign}/remote-support/{sid}"
    assert support.call("DELETE", path, token=stranger).status_code == 404
    assert support.end_reasons() == [] and not support.service.is_revoked(token)


# --- what is seen of it


def test_the_member_sees_support_among_their_sessions(
    support: SupportSetup, jane: tuple[str, str], token: str
) -> None:
    seen = support.call("GET", "/v1/sessions", token=jane[1])
    paged = support.call("GET", "/v1/sessions?limit=1", token=jane[1])
    rest = support.call(
        "GET", f"/v1/sessions?limit=1&cursor={paged.json['next_cursor']}", token=jane[1]
    )

    assert [row["user_agent"] == "Support" for row in seen.json["data"]] == [True, False]
    assert (
        seen.json["data"][0]["id"] == support.service.claims(token)["sid"]
        and seen.json["data"][1]["current"]
    )
    assert paged.json["data"] + rest.json["data"] == seen.json["data"]
    assert support.staff_details_in(seen.text) == []
    assert support.call("GET", "/v1/sessions", token=token).status_code == 403


def test_the_customer_never_sees_which_staff_member_it_was(
    support: SupportSetup, jane: tuple[str, str], token: str
) -> None:
    support.call(
        "DELETE",
        f"{support.grants_path}/{support.service.claims(token)['sid']}",
        token=support.other,
    )
    support.login_as(jane[0], token=support.other)
    paths = ("members", "remote-support", "ownership-transfers")

    shown = [
        support.call(
            "GET", f"/v1/organizations/{support.organization_id}/{path}", token=support.owner
        )
        for path in paths
    ]
    shown += [
        support.call("GET", path, token=jane[1])
        for path in ("/v1/sessions", "/v1/me", "/v1/me/organizations")
    ]

    assert {answer.status_code for answer in shown} == {200}
    assert support.staff_details_in(*[answer.text for answer in shown]) == []
    inside = shown[1].json["inside"]
    assert [(one["who"], one["mode"], one["member"]["name"]) for one in inside] == [
        ({"id": "support", "name": "Support"}, "login_as", "Jane Newcomer")
    ]
    staffs = support.call("GET", support.grants_path, token=support.staff).json["inside"]
    assert [one["who"]["name"] for one in staffs] == ["Other.svensson Newcomer"]


def test_counts_do_not_change(support: SupportSetup, jane: tuple[str, str]) -> None:
    def counted() -> Any:
        last = support.service.published(membership.MembersChanged)[-1]
        return support.call(
            "GET", f"/v1/organizations/{support.organization_id}/members", token=support.owner
        ).json, last

    before = counted()
    token = support.login_as(jane[0]).json["access_token"]
    during = counted()
    support.call("DELETE", "/v1/sessions/current", token=token)

    assert before == during == counted()


def test_me_names_the_member_and_no_other_organizations(
    support: SupportSetup, jane: tuple[str, str], token: str
) -> None:
    elsewhere, _ = support.service.owner("other@elsewhere.example")
    support.service.receive(
        org.InviteOwner(
            organization_id="org_01k9jm2n7tfx9r8b3y0wz5v6qd",
            provider_id=elsewhere,
            email="jane@customer.example",
            name="Secret Ltd",
            given_name="Jane",
            family_name="N",
            managed_by="provider",
        )
    )

    me = support.call("GET", "/v1/me", token=token).json

    assert me["identity"]["email"] == "jane@customer.example" and me["member_id"] == jane[0]
    assert me["act"]["mode"] == "login_as"
    assert support.call("GET", "/v1/me/organizations", token=token).json == {
        "own": [],
        "serviced": [],
    }
    assert "Secret" in support.call("GET", "/v1/me/organizations", token=jane[1]).text


# --- what is forbidden


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


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_no_support_session_survives_a_concurrent_sign_out(
    support: SupportSetup, jane: tuple[str, str]
) -> None:
    for _ in range(4):
        token = support.fresh()
        with ThreadPoolExecutor(2) as pool:
            begun = pool.submit(support.login_as, jane[0], token=token)
            out = pool.submit(support.call, "DELETE", "/v1/sessions/current", token=token)
        answer = begun.result()

        assert out.result().status_code == 204 and answer.status_code in (201, 401)
        assert answer.status_code == 401 or support.service.is_revoked(answer.json["access_token"])
        assert [one.id for one in support.acting_sessions() if one.ended_at is None] == []
