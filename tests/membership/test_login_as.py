"""Login As: staff act as one member of a customer, under both names, for half an hour."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from chassis.auth.permissions import CUSTOMER
from contracts import membership, org
from membership.actions import acting_sessions, audit_log
from membership.guard import OPERATIONS
from membership.models import LoginSession

from tests.house import endpoints
from tests.membership.conftest import World
from tests.membership.scenes import Scene, scene

MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def here(world: World) -> Scene:
    return scene(world)


@pytest.fixture
def jane(here: Scene) -> tuple[str, str]:
    return here.member("jane@customer.example", role="admin")


@pytest.fixture
def token(here: Scene, jane: tuple[str, str]) -> str:
    return here.login_as(jane[0]).json["access_token"]


def test_the_token_is_the_members_and_says_who_acts(here: Scene, jane: tuple[str, str]) -> None:
    answer = here.login_as(jane[0])

    assert answer.status_code == 201, answer.text
    claims, theirs = here.world.claims(answer.json["access_token"]), here.world.claims(jane[1])
    staff, one = here.world.claims(here.staff), here.stays()[0]
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
            "org": here.provider_id,
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


def test_the_reason_and_both_people_stand_in_the_audit(
    here: Scene, jane: tuple[str, str], token: str
) -> None:
    here.call("DELETE", "/v1/sessions/current", token=token)

    started, ended = here.rows("member.login_as.")
    claims, staff = here.world.claims(token), here.world.claims(here.staff)
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


def test_without_its_audit_row_nothing_begins(
    here: Scene, jane: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no audit")

    with monkeypatch.context() as broken:
        broken.setattr(audit_log.audit, "record", fails)
        answer = here.login_as(jane[0])

    assert answer.status_code == 500 and "access_token" not in answer.text
    assert here.stays() == [] and here.rows("member.login_as.") == []


# --- who can't be acted as

REFUSED: dict[str, Callable[[Scene, str, str], Any]] = {
    "login-less": lambda s, m, path: s.call("PATCH", path, {"portal_access": False}, token=s.boss),
    "unverified": lambda s, m, path: s.call(
        "PATCH", path, {"email": "else@customer.example"}, token=s.boss
    ),
    "disabled": lambda s, m, path: s.call("POST", f"{path}/disable", token=s.boss),
}


@pytest.mark.parametrize("how", REFUSED)
def test_only_a_member_who_can_log_in_is_acted_as(
    here: Scene, jane: tuple[str, str], how: str
) -> None:
    changed = REFUSED[how](
        here, jane[0], f"/v1/organizations/{here.organization_id}/members/{jane[0]}"
    )
    assert changed.status_code == 200, changed.text

    answer = here.login_as(jane[0])

    assert (answer.status_code, answer.json["code"]) == (409, "member_not_eligible"), answer.text
    assert here.stays() == []


def test_nobody_acts_as_themselves_or_as_a_colleague(here: Scene) -> None:
    colleague = here.world.claims(here.other)["mid"]
    here.call(
        "POST",
        f"/v1/organizations/{here.organization_id}/members",
        {
            "name": "Also Here",
            "email": "staff.svensson@provider.example",
            "role": "member",
            "portal_access": True,
        },
        token=here.boss,
    )
    here.world.accept("staff.svensson@provider.example", None)
    listed = here.call(
        "GET", f"/v1/organizations/{here.organization_id}/members?q=Also", token=here.boss
    ).json
    own = listed["data"][0]["id"]

    as_colleague = here.call(
        "POST",
        f"/v1/organizations/{here.provider_id}/members/{colleague}/login-as",
        {"reason": "x"},
        token=here.staff,
    )
    as_oneself = here.login_as(own)

    for answer in (as_colleague, as_oneself):
        assert (answer.status_code, answer.json["code"]) == (409, "member_not_eligible"), (
            answer.text
        )
    assert here.stays() == []


def test_not_where_the_organization_is_not_active(here: Scene, jane: tuple[str, str]) -> None:
    here.world.hear(
        org.OrganizationSuspended(
            organization_id=here.organization_id, provider_id=here.provider_id
        )
    )

    answer = here.login_as(jane[0])

    assert (answer.status_code, answer.json["code"]) == (409, "organization_not_active")


def test_another_providers_member_does_not_exist(here: Scene, jane: tuple[str, str]) -> None:
    foreign, _ = here.world.owner("else@other.example")

    path = f"/v1/organizations/{foreign}/members/{jane[0]}/login-as"
    assert here.call("POST", path, {"reason": "x"}, token=here.staff).status_code == 404
    path = f"/v1/organizations/{here.provider_id}/members/{jane[0]}/login-as"
    assert here.call("POST", path, {"reason": "x"}, token=here.staff).status_code == 404


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": "x" * 501}, {"reason": 1}, {"reason": "x", "more": 1}]
)
def test_a_reason_is_wanted(here: Scene, jane: tuple[str, str], body: dict[str, Any]) -> None:
    path = f"/v1/organizations/{here.organization_id}/members/{jane[0]}/login-as"

    assert here.call("POST", path, body, token=here.staff).status_code == 422


# --- how often, how many


def test_one_at_a_time_and_the_answer_says_how_to_end_it(
    here: Scene, jane: tuple[str, str], token: str
) -> None:
    again = here.login_as(jane[0])
    held = here.world.claims(token)["sid"]
    other = here.login_as(jane[0], token=here.other)

    assert (again.status_code, again.json["code"]) == (409, "already_acting")
    assert (
        again.json["acting_session_id"] == held and "DELETE /v1/sessions/" in again.json["detail"]
    )
    assert other.status_code == 201
    assert here.call("DELETE", f"/v1/sessions/{held}", token=here.staff).status_code == 204
    assert here.login_as(jane[0]).status_code == 201
    assert here.world.revoked(token) and not here.world.revoked(other.json["access_token"])


def test_ten_starts_an_hour_and_thirty_a_day(here: Scene, jane: tuple[str, str]) -> None:
    def start() -> Any:
        answer = here.login_as(jane[0], token=here.fresh())
        if answer.status_code == 201:
            here.call("DELETE", "/v1/sessions/current", token=answer.json["access_token"])
        return answer

    told = []
    for _ in range(3):
        told += [start().status_code for _ in range(10)]
        limited = start()
        assert (limited.status_code, limited.json["code"]) == (429, "too_many_starts")
        assert 3000 < int(limited.headers["Retry-After"]) <= 3601 or len(told) == 30
        here.world.clock.pass_(minutes=61)

    assert told == [201] * 30
    of_the_day = start()
    assert of_the_day.status_code == 429 and int(of_the_day.headers["Retry-After"]) > 20 * 3600
    here.world.clock.pass_(hours=24)
    assert start().status_code == 201


# --- ends


def _leave(call: str, path: str) -> Callable[[Scene, dict[str, str]], Any]:
    return lambda s, t: s.call(call, path.format(**t), token=t["who"])


ENDS: dict[str, tuple[str, str, Callable[[Scene, dict[str, str]], Any]]] = {
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
        lambda s, t: s.call("PATCH", t["path"], {"email": "new@customer.example"}, token=s.boss),
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
        lambda s, t: s.world.hear(
            org.OrganizationSuspended(organization_id=s.organization_id, provider_id=s.provider_id)
        ),
    ),
    "organization closed": (
        "organization_changed",
        "",
        lambda s, t: s.world.hear(
            org.EndAccess(
                organization_id=s.organization_id, deletion_id="del_01k9jm4h6jf2sb9c1d0e5f7g8h"
            )
        ),
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_it_ends(here: Scene, jane: tuple[str, str], token: str, how: str) -> None:
    why, who, end = ENDS[how]
    known = {
        "sid": here.world.claims(token)["sid"],
        "support": here.support,
        "path": f"/v1/organizations/{here.organization_id}/members/{jane[0]}",
        "staff_path": f"/v1/organizations/{here.provider_id}/members/{here.world.claims(here.staff)['mid']}",
        "who": {"token": token, "jane": jane[1]}.get(who) or getattr(here, who, ""),
    }
    assert not here.world.revoked(token)

    answer = end(here, known)

    assert answer is None or answer.status_code in (200, 204), answer.text
    assert here.world.revoked(token), "the gateway goes on letting it in"
    assert here.why() == [why] and here.rows("member.login_as.ended")[0].reason == why
    one = here.stays()[0]
    assert one.ended_why == why and one.ended_at is not None


def test_it_ends_by_the_clock_to_the_microsecond(here: Scene, token: str) -> None:
    due = here.stays()[0].expires_at

    with here.world.database.transaction() as session:
        early = acting_sessions.end_expired(session, now=due - MICROSECOND)
    with here.world.database.transaction() as session:
        at = acting_sessions.end_expired(session, now=due)

    assert (early, at) == (0, 1)
    assert here.why() == ["expired"] and here.stays()[0].ended_at == due
    assert here.rows("member.login_as.ended")[0].actor["kind"] == "system" and here.world.revoked(
        token
    )


def test_what_ran_out_stands_in_nobodys_way(here: Scene, jane: tuple[str, str], token: str) -> None:
    here.world.clock.pass_(minutes=30)

    assert here.login_as(jane[0], token=here.fresh()).status_code == 201
    assert here.why() == ["expired"]


def test_it_does_not_outlive_the_session_it_hangs_on(here: Scene, jane: tuple[str, str]) -> None:
    with here.world.database.transaction() as session:
        login = session.get_one(LoginSession, here.world.claims(here.staff)["sid"])
        login.expires_at = here.world.clock.now() + timedelta(minutes=10)

    answer = here.login_as(jane[0])

    assert 590 < answer.json["expires_in"] <= 600


def test_somebody_whose_role_has_changed_does_not_begin(here: Scene, jane: tuple[str, str]) -> None:
    path = f"/v1/organizations/{here.provider_id}/members/{here.world.claims(here.staff)['mid']}"
    here.call("PATCH", path, {"preset": "viewer"}, token=here.boss)

    answer = here.login_as(jane[0])

    assert (answer.status_code, answer.json["code"]) == (401, "token_revoked")


def test_what_the_member_did_under_a_key_is_not_answered_to_support(
    here: Scene, jane: tuple[str, str]
) -> None:
    body = {
        "name": "Late",
        "email": "late@customer.example",
        "role": "member",
        "portal_access": True,
    }
    path = f"/v1/organizations/{here.organization_id}/members"
    late = here.call("POST", path, body, token=here.owner).json["id"]
    here.world.clock.pass_(minutes=2)
    key = {"Idempotency-Key": "one"}

    def resend(token: str) -> Any:
        return here.call("POST", f"{path}/{late}/resend-verification", token=token, headers=key)

    theirs = here.world.log_in("jane@customer.example", organization_id=here.organization_id)[
        "access_token"
    ]
    first, inside = (
        resend(theirs),
        resend(here.login_as(jane[0], token=here.fresh()).json["access_token"]),
    )

    assert first.status_code < 300, first.text
    assert inside.status_code == 429 and "Idempotent-Replayed" not in inside.headers


def test_an_ended_stay_is_no_session_any_more(
    here: Scene, jane: tuple[str, str], token: str
) -> None:
    sid = here.world.claims(token)["sid"]
    here.call("DELETE", f"/v1/sessions/{sid}", token=here.staff)

    assert here.call("DELETE", f"/v1/sessions/{sid}", token=here.staff).status_code == 404
    assert here.call("DELETE", f"{here.support}/{sid}", token=here.staff).status_code == 204
    assert here.why() == ["stopped"]


def test_strangers_end_nothing(here: Scene, jane: tuple[str, str], token: str) -> None:
    sid = here.world.claims(token)["sid"]
    _, mary = here.member("mary@customer.example")
    foreign, stranger = here.world.owner("else@other.example")

    assert here.call("DELETE", f"/v1/sessions/{sid}", token=mary).status_code == 404
    assert here.call("DELETE", f"{here.support}/{sid}", token=mary).status_code == 403
    assert here.call("DELETE", f"{here.support}/{sid}", token=stranger).status_code == 404
    path = f"/v1/organizations/{foreign}/remote-support/{sid}"
    assert here.call("DELETE", path, token=stranger).status_code == 404
    assert here.why() == [] and not here.world.revoked(token)


# --- what is seen of it


def test_the_member_sees_support_among_their_sessions(
    here: Scene, jane: tuple[str, str], token: str
) -> None:
    seen = here.call("GET", "/v1/sessions", token=jane[1])
    paged = here.call("GET", "/v1/sessions?limit=1", token=jane[1])
    rest = here.call(
        "GET", f"/v1/sessions?limit=1&cursor={paged.json['next_cursor']}", token=jane[1]
    )

    assert [row["user_agent"] == "Support" for row in seen.json["data"]] == [True, False]
    assert (
        seen.json["data"][0]["id"] == here.world.claims(token)["sid"]
        and seen.json["data"][1]["current"]
    )
    assert paged.json["data"] + rest.json["data"] == seen.json["data"]
    assert here.tells_who(seen.text) == []
    assert here.call("GET", "/v1/sessions", token=token).status_code == 403


def test_the_customer_never_learns_who_it_was(
    here: Scene, jane: tuple[str, str], token: str
) -> None:
    here.call("DELETE", f"{here.support}/{here.world.claims(token)['sid']}", token=here.other)
    here.login_as(jane[0], token=here.other)
    paths = ("members", "remote-support", "ownership-transfers")

    shown = [
        here.call("GET", f"/v1/organizations/{here.organization_id}/{path}", token=here.owner)
        for path in paths
    ]
    shown += [
        here.call("GET", path, token=jane[1])
        for path in ("/v1/sessions", "/v1/me", "/v1/me/organizations")
    ]

    assert {answer.status_code for answer in shown} == {200}
    assert here.tells_who(*[answer.text for answer in shown]) == []
    inside = shown[1].json["inside"]
    assert [(one["who"], one["mode"], one["member"]["name"]) for one in inside] == [
        ({"id": "support", "name": "Support"}, "login_as", "Jane Newcomer")
    ]
    staffs = here.call("GET", here.support, token=here.staff).json["inside"]
    assert [one["who"]["name"] for one in staffs] == ["Other.svensson Newcomer"]


def test_counts_do_not_change(here: Scene, jane: tuple[str, str]) -> None:
    def counted() -> Any:
        last = here.world.said(membership.MembersChanged)[-1]
        return here.call(
            "GET", f"/v1/organizations/{here.organization_id}/members", token=here.owner
        ).json, last

    before = counted()
    token = here.login_as(jane[0]).json["access_token"]
    during = counted()
    here.call("DELETE", "/v1/sessions/current", token=token)

    assert before == during == counted()


def test_me_says_for_whom_and_knows_nothing_of_elsewhere(
    here: Scene, jane: tuple[str, str], token: str
) -> None:
    elsewhere, _ = here.world.owner("other@elsewhere.example")
    here.world.hear(
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

    me = here.call("GET", "/v1/me", token=token).json

    assert me["identity"]["email"] == "jane@customer.example" and me["member_id"] == jane[0]
    assert me["act"]["mode"] == "login_as"
    assert here.call("GET", "/v1/me/organizations", token=token).json == {"own": [], "serviced": []}
    assert "Secret" in here.call("GET", "/v1/me/organizations", token=jane[1]).text


# --- what is forbidden


def test_whatever_the_table_forbids_is_refused(here: Scene, jane: tuple[str, str]) -> None:
    acts = here.login_as(here.world.claims(here.owner)["mid"]).json["access_token"]
    under = here.enter(here.request().json["id"], token=here.other).json["access_token"]
    before = here.call(
        "GET", f"/v1/organizations/{here.organization_id}/members", token=here.owner
    ).json
    forbidden = {name for name, row in OPERATIONS.rows.items() if row.marks["acting"] == "-"}
    calls = [call for call in endpoints.endpoints_of(here.world.app) if call.operation in forbidden]

    told = {}
    for call in calls:
        path = call.path.replace("<organization_id>", here.organization_id).replace(
            "<member_id>", jane[0]
        )
        for token in (acts, under):
            answer = here.call(
                call.method, path.replace("<", "").replace(">", ""), {"reason": "x"}, token=token
            )
            told[call.method, call.path, token == acts] = answer.status_code

    assert len(calls) > 20 and set(told.values()) == {403}, {
        k: v for k, v in told.items() if v != 403
    }
    assert (
        here.call("GET", f"/v1/organizations/{here.organization_id}/members", token=here.owner).json
        == before
    )


def test_what_the_tables_allow_inside_is_this_and_no_more() -> None:
    """Whoever adds to it decides that support may do it in a customer's place, where the customer's
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
def test_login_and_role_are_not_changed_from_inside(
    here: Scene, jane: tuple[str, str], body: dict[str, Any]
) -> None:
    tokens = [
        here.login_as(here.world.claims(here.owner)["mid"]).json["access_token"],
        here.enter(here.request().json["id"], token=here.other).json["access_token"],
    ]
    path = f"/v1/organizations/{here.organization_id}/members/{jane[0]}"
    before = here.call("GET", path, token=here.owner).json

    answers = [here.call("PATCH", path, body, token=token) for token in tokens]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert here.call("GET", path, token=here.owner).json == before


def test_sessions_of_the_member_and_of_staff_are_not_ended_from_inside(
    here: Scene, jane: tuple[str, str], token: str
) -> None:
    for sid in (here.world.claims(jane[1])["sid"], here.world.claims(here.staff)["sid"]):
        assert here.call("DELETE", f"/v1/sessions/{sid}", token=token).status_code == 403

    assert not here.world.revoked(jane[1]) and not here.world.revoked(here.staff)


def test_what_is_done_inside_is_recorded_under_both_names(
    here: Scene, jane: tuple[str, str]
) -> None:
    token = here.login_as(here.world.claims(here.owner)["mid"]).json["access_token"]
    path = f"/v1/organizations/{here.organization_id}/members/{jane[0]}"

    assert here.call("PATCH", path, {"name": "Jane Renamed"}, token=token).status_code == 200

    row = here.rows("member.updated")[-1]
    assert (row.actor["kind"], row.actor["label"]) == ("support", "Olga Owner")
    assert row.actor["acting"]["sub"] == here.world.claims(here.staff)["sub"]
    assert row.actor["acting"]["acting"] == here.world.claims(token)["sid"]


@pytest.mark.parametrize("preset", ["viewer", "support", "billing"])
def test_only_managers_and_the_owner_act_as_members(
    here: Scene, jane: tuple[str, str], preset: str
) -> None:
    _, token = here.member("pia@provider.example", at=here.provider_id, preset=preset)

    assert here.login_as(jane[0], token=token).status_code == 403
    assert here.login_as(jane[0], token=here.boss).status_code == 201


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_of_many_starts_at_once_one_begins(here: Scene, jane: tuple[str, str]) -> None:
    with ThreadPoolExecutor(6) as pool:
        started = list(pool.map(lambda _: here.login_as(jane[0]), range(6)))

    assert sorted(answer.status_code for answer in started) == [201, 409, 409, 409, 409, 409]
    assert {answer.json["code"] for answer in started if answer.status_code == 409} == {
        "already_acting"
    }


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_no_stay_outlives_a_sign_out_that_came_meanwhile(
    here: Scene, jane: tuple[str, str]
) -> None:
    for _ in range(4):
        token = here.fresh()
        with ThreadPoolExecutor(2) as pool:
            begun = pool.submit(here.login_as, jane[0], token=token)
            out = pool.submit(here.call, "DELETE", "/v1/sessions/current", token=token)
        answer = begun.result()

        assert out.result().status_code == 204 and answer.status_code in (201, 401)
        assert answer.status_code == 401 or here.world.revoked(answer.json["access_token"])
        assert [one.id for one in here.stays() if one.ended_at is None] == []
