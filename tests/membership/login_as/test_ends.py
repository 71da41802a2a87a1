"""What ends Login As, and who."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from contracts import org
from membership.actions import acting_sessions
from membership.models import LoginSession

from tests.membership.conftest import PASSWORD
from tests.membership.login_as.conftest import staff_path, switch_on
from tests.membership.support_setup import MICROSECOND, SupportSetup


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
        "staff_path": staff_path(support),
        "who": {"token": token, "jane": jane[1]}.get(who) or getattr(support, who, ""),
    }
    assert not support.service.is_revoked(token)

    answer = end(support, known)

    assert answer is None or answer.status_code in (200, 204), answer.text
    assert support.service.is_revoked(token), "the gateway goes on letting it in"
    assert support.end_reasons() == [why] and support.rows("member.login_as.ended")[0].reason == why
    one = support.acting_sessions()[0]
    assert one.ended_why == why and one.ended_at is not None


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
    "switches codes on": switch_on,
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
        assert switch_on(support, jane[1]).status_code == 201
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
    assert switch_on(support, support.boss).status_code == 201
    owner_id = service.claims(support.owner)["mid"]
    with_code = support.login_as(owner_id, token=support.boss).json["access_token"]

    support.settings(version=2, managed_service=True, mfa_required=True)

    assert service.is_revoked(token) and service.is_revoked(inside)
    assert not service.is_revoked(with_code)
    assert support.end_reasons() == ["forced_by_provider", "forced_by_provider"]


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
