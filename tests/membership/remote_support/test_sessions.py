"""Sessions of staff under a grant: what they may do, how many and how long."""

import pytest
from membership.actions import acting_sessions, support_grants
from membership.models import SupportGrant
from sqlalchemy import select, update

from tests.membership.support_setup import MICROSECOND, SupportSetup


def test_the_token_names_no_member_and_has_the_owners_scopes_less_the_forbidden(
    support: SupportSetup,
) -> None:
    grant = support.request().json

    answer = support.enter(grant["id"], reason="ticket 7")

    claims, owners = (
        support.service.claims(answer.json["access_token"]),
        support.service.claims(support.owner),
    )
    assert (claims["sub"], claims["name"], claims["role"]) == (
        f"support:{grant['id']}",
        "Support",
        "owner",
    )
    assert (
        "mid" not in claims
        and claims["org"] == support.organization_id
        and claims["kind"] == "customer"
    )
    assert (claims["act"]["mode"], claims["act"]["grant"], claims["act"]["access"]) == (
        "remote_support",
        grant["id"],
        "full",
    )
    lost = set(owners["scope"].split()) - set(claims["scope"].split())
    assert set(claims["scope"].split()) < set(owners["scope"].split())
    assert {
        "owner:transfer",
        "members:role",
        "support:consent",
        "pin:reset",
        "billing:write",
    } <= lost
    assert (
        answer.json["expires_in"] == 3600
        and support.rows("support.entered")[0].reason == "ticket 7"
    )
    me = support.call("GET", "/v1/me", token=answer.json["access_token"]).json
    assert (me["identity"]["given_name"], me["identity"]["email"], me["member_id"]) == (
        "Support",
        None,
        None,
    )
    assert me["act"]["grant"] == grant["id"]
    where = support.call("GET", "/v1/me/organizations", token=answer.json["access_token"])
    assert where.json == {"own": [], "serviced": []}


def test_no_session_outlasts_its_grant(support: SupportSetup) -> None:
    grant = support.request(minutes=20).json

    assert 1190 <= support.enter(grant["id"]).json["expires_in"] <= 1200


@pytest.mark.parametrize(("ahead", "enters"), [(-1, True), (0, False), (1, False)])
def test_a_grant_expires_to_the_microsecond(
    support: SupportSetup, ahead: int, enters: bool
) -> None:
    support.request(minutes=20)
    with support.service.database.reading() as session:
        grant = session.scalars(select(SupportGrant)).one()

    assert grant.is_active(grant.expires_at + ahead * MICROSECOND) is enters
    with support.service.database.transaction() as session:
        assert support_grants.end_expired(session, now=grant.expires_at + ahead * MICROSECOND) == (
            0 if enters else 1
        )


def test_read_access_changes_nothing(support: SupportSetup) -> None:
    token = support.enter_with_new_grant(access="read")
    claims = support.service.claims(support.owner)
    path = f"/v1/organizations/{support.organization_id}/members/{claims['mid']}"
    assert all(scope.endswith(":read") for scope in support.service.claims(token)["scope"].split())
    before = support.call("GET", path, token=token)

    refused = support.call("PATCH", path, {"name": "Else"}, token=token)

    assert before.status_code == 200
    assert (refused.status_code, refused.json["code"]) == (403, "read_only")
    assert support.call("GET", path, token=token).json == before.json
    assert support.call("DELETE", "/v1/sessions/current", token=token).status_code == 204


def test_two_staff_members_may_be_in_at_once_each_once(support: SupportSetup) -> None:
    grant = support.request().json

    first, second, again = (
        support.enter(grant["id"]),
        support.enter(grant["id"], token=support.other),
        support.enter(grant["id"]),
    )

    assert (first.status_code, second.status_code) == (201, 201)
    assert (again.status_code, again.json["code"]) == (409, "already_acting")
    inside = support.call("GET", support.grants_path, token=support.owner)
    assert [one["who"]["name"] for one in inside.json["inside"]] == ["Support", "Support"]
    assert support.staff_details_in(inside.text) == []


def test_eight_hours_a_day(support: SupportSetup) -> None:
    assert support.other
    grant = support.request(minutes=4 * 1440).json["id"]

    def hours(count: int) -> list[int]:
        stays = []
        for _ in range(count):
            answer = support.enter(grant, token=support.fresh())
            stays.append(answer.json.get("expires_in") or answer.status_code)
            support.service.clock.advance(minutes=60)
            support.end_expired()
        return stays

    assert hours(7) == [3600] * 7
    token = support.enter(grant, token=support.fresh()).json["access_token"]
    support.service.clock.advance(minutes=30)
    support.call("DELETE", "/v1/sessions/current", token=token)
    left = support.enter(grant, token=support.fresh()).json["expires_in"]
    support.service.clock.advance(minutes=31)
    support.end_expired()
    spent = support.enter(grant, token=support.fresh())

    assert 1790 <= left <= 1800
    assert (spent.status_code, spent.json["code"]) == (429, "support_hours_spent")
    assert 15 * 3600 < int(spent.headers["Retry-After"]) <= 17 * 3600
    assert support.enter(grant, token=support.fresh("other")).status_code == 201
    support.service.clock.advance(hours=24)
    assert hours(1) == [3600]


def test_entering_by_exchange(support: SupportSetup) -> None:
    wanted = {"organization_id": support.organization_id}
    without = support.call("POST", "/v1/sessions/exchange", wanted, token=support.staff)
    support.request(access="read")
    grant = support.request().json
    listed = support.call("GET", "/v1/me/organizations", token=support.staff).json

    entered = support.call("POST", "/v1/sessions/exchange", wanted, token=support.staff)

    assert (without.status_code, without.json["code"]) == (409, "grant_not_active")
    assert [(one["id"], one["role"], one["open"]) for one in listed["serviced"]] == [
        (support.organization_id, "owner", True)
    ]
    assert entered.status_code == 201 and "refresh_token" not in entered.json
    assert entered.json["identity"]["given_name"] == "Support"
    claims = support.service.claims(entered.json["access_token"])
    assert (claims["act"]["grant"], claims["act"]["access"]) == (grant["id"], "full"), (
        "the widest, then the longest"
    )
    assert claims["org"] == support.organization_id
    assert support.call("GET", "/v1/me/organizations", token=support.owner).json["serviced"] == []


def test_who_may_enter(support: SupportSetup) -> None:
    grant = support.request().json["id"]
    _, viewer = support.member("vera@provider.example", at=support.provider_id, preset="viewer")
    _, helper = support.member("sam@provider.example", at=support.provider_id, preset="support")
    wanted = {"organization_id": support.organization_id}

    assert support.enter(grant, token=viewer).status_code == 403
    assert support.call("POST", "/v1/sessions/exchange", wanted, token=viewer).status_code == 403
    assert support.enter(grant, token=support.owner).status_code == 403
    assert support.enter(grant, token=helper).status_code == 201
    assert support.call("GET", "/v1/me/organizations", token=viewer).json["serviced"] == []


def test_grants_of_others_do_not_exist(support: SupportSetup) -> None:
    grant = support.request().json["id"]
    foreign, stranger = support.service.owner("else@other.example")
    second, _ = support.service.owner("second@customer.example", provider_id=support.provider_id)

    assert support.call("GET", support.grants_path, token=stranger).status_code == 404
    assert (
        support.call("DELETE", f"{support.grants_path}/{grant}", token=stranger).status_code == 404
    )
    assert (
        support.call(
            "POST",
            f"/v1/organizations/{foreign}/remote-support",
            {"reason": "x"},
            token=support.staff,
        ).status_code
        == 404
    )
    for path in (
        f"/v1/organizations/{second}/remote-support/{grant}",
        f"{support.grants_path}/grt_x",
        f"{support.grants_path}/x",
    ):
        assert support.call("POST", f"{path}/enter", {}, token=support.staff).status_code == 404
        assert support.call("DELETE", path, token=support.staff).status_code == 404


def test_the_closing_check_warns_of_active_support_sessions(support: SupportSetup) -> None:
    support.enter_with_new_grant()

    path = f"/internal/organizations/{support.organization_id}/closing-check"
    warned = support.service.client.get(path, auth=("org", "org's own")).json["warnings"]

    assert [one["code"] for one in warned] == ["acting_session"]


def test_the_database_allows_one_open_session_per_staff_member(support: SupportSetup) -> None:
    """The unique index holds even without the check before."""
    grant = support.request().json["id"]
    support.enter(grant)

    with (
        pytest.raises(Exception, match=r"(?i)unique"),
        support.service.database.transaction() as session,
    ):
        one = support.acting_sessions()[0]
        values = {
            c.key: getattr(one, c.key) for c in acting_sessions.ActingSession.__table__.columns
        }
        session.add(
            acting_sessions.ActingSession(
                **values | {"id": support.service.claims(support.owner)["sid"]}
            )
        )


def test_concurrent_settings_and_grants_do_not_conflict(support: SupportSetup) -> None:
    """Older settings that arrive late end nothing."""
    grant = support.request().json["id"]
    support.settings(version=5, managed_service=True)
    support.settings(version=4, managed_service=False)

    assert support.enter(grant).status_code == 201
    with support.service.database.transaction() as session:
        session.execute(update(SupportGrant).values(status="expired"))
    assert support.enter(grant, token=support.other).status_code == 409
