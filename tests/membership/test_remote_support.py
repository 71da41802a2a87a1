"""Remote Support: grants, consent, stays under them, and what each side sees."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from chassis.auth.actor import Actor
from contracts import membership, org
from membership.actions import acting_sessions, support_grants
from membership.models import SupportGrant
from sqlalchemy import select, update

from tests.membership.conftest import World
from tests.membership.scenes import Scene, scene, texts

MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def here(world: World) -> Scene:
    return scene(world)


@pytest.fixture
def asked(world: World) -> Scene:
    """A customer that manages itself."""
    return scene(world, managed_by="customer")


# --- grants


def test_where_the_provider_manages_leave_is_given_at_once(here: Scene) -> None:
    answer = here.request(minutes=90, access="read")

    assert answer.status_code == 201, answer.text
    staff = here.world.claims(here.staff)
    shown = {
        name: answer.json[name]
        for name in ("status", "minutes", "access", "reason", "decided_by", "ended_at")
    }
    assert shown == {
        "status": "active",
        "minutes": 90,
        "access": "read",
        "reason": "a closer look",
        "decided_by": None,
        "ended_at": None,
    }
    assert answer.json["requested_by"] == {"id": staff["sub"], "name": staff["name"]}
    row = here.rows("support.requested")[0]
    assert (row.reason, row.actor["kind"], row.actor["acting"]["sub"]) == (
        "a closer look",
        "support",
        staff["sub"],
    )
    assert row.target["id"] == answer.json["id"]


def test_a_day_and_full_access_unless_said_otherwise(here: Scene) -> None:
    grant = here.request().json

    assert (grant["minutes"], grant["access"]) == (1440, "full")


@pytest.mark.parametrize(
    "body",
    [
        {"minutes": 0},
        {"minutes": 43_201},
        {"minutes": "60"},
        {"access": "all"},
        {"reason": ""},
        {"more": 1},
    ],
)
def test_bad_wishes_are_refused(here: Scene, body: dict[str, Any]) -> None:
    assert here.request(**body).status_code == 422


def test_the_managed_service_must_be_on(world: World) -> None:
    there = scene(world, managed_service=False)

    for answer in (
        there.request(),
        there.call(
            "POST",
            "/v1/sessions/exchange",
            {"organization_id": there.organization_id},
            token=there.staff,
        ),
    ):
        assert (answer.status_code, answer.json["code"]) == (409, "managed_service_off")


def test_only_customers_that_are_active_are_asked(here: Scene) -> None:
    own = here.call(
        "POST",
        f"/v1/organizations/{here.provider_id}/remote-support",
        {"reason": "x"},
        token=here.staff,
    )
    here.world.hear(
        org.OrganizationSuspended(
            organization_id=here.organization_id, provider_id=here.provider_id
        )
    )

    assert (own.status_code, own.json["code"]) == (409, "not_a_customer")
    assert (here.request().status_code, here.request().json["code"]) == (
        409,
        "organization_not_active",
    )


# --- consent


def test_a_customer_that_manages_itself_consents_first(asked: Scene) -> None:
    asked.member("anna@customer.example", role="admin")
    asked.member("mike@customer.example")
    wish = asked.request(minutes=60).json

    early = asked.enter(wish["id"])
    mails = [mail for mail in asked.world.post() if "requests access" in mail["Subject"]]
    approved = asked.call("POST", f"{asked.support}/{wish['id']}/approve", {}, token=asked.owner)
    entered = asked.enter(wish["id"])

    assert wish["status"] == "pending" and (early.status_code, early.json["code"]) == (
        409,
        "grant_not_active",
    )
    assert sorted(mail["To"] for mail in mails) == [
        "anna@customer.example",
        "olga@customer.example",
    ]
    assert "a closer look" in mails[0].get_content() and "1 hour" in mails[0].get_content()
    assert asked.tells_who(*texts(mails)) == []
    assert (approved.status_code, approved.json["status"]) == (200, "active"), approved.text
    assert (
        approved.json["decided_by"]["name"] == "Olga Owner" and asked.tells_who(approved.text) == []
    )
    assert entered.status_code == 201
    assert [row.action for row in asked.rows("support.")] == [
        "support.requested",
        "support.approved",
        "support.entered",
    ]


def test_the_time_runs_from_the_consent(asked: Scene) -> None:
    wish = asked.request(minutes=60).json
    asked.world.clock.pass_(hours=70)
    asked.owner = asked.world.log_in("olga@customer.example")["access_token"]

    approved = asked.call("POST", f"{asked.support}/{wish['id']}/approve", {}, token=asked.owner)

    assert approved.status_code == 200 and approved.json["expires_at"] > wish["expires_at"][:10]
    with asked.world.database.reading() as session:
        grant = session.scalars(select(SupportGrant)).one()
        assert grant.decided_at is not None and grant.expires_at - grant.decided_at == timedelta(
            minutes=60
        )


@pytest.mark.parametrize(("ahead", "status"), [(-1, 200), (0, 409), (1, 409)])
def test_a_request_is_open_for_72_hours_to_the_microsecond(
    asked: Scene, ahead: int, status: int
) -> None:
    wish = asked.request().json
    with asked.world.database.transaction() as session:
        grant = session.scalars(select(SupportGrant)).one()
        at = grant.requested_at + timedelta(hours=72) + ahead * MICROSECOND
        assert grant.expires_at == grant.requested_at + timedelta(hours=72)
        by = Actor(kind="member", id=asked.world.claims(asked.owner)["sub"], label="Olga Owner")
        try:
            support_grants.approve_grant(
                session, organization_id=asked.organization_id, grant_id=wish["id"], now=at, by=by
            )
            found = 200
        except support_grants.RequestNotPending:
            found = 409

    assert found == status


def test_refusing_and_withdrawing(asked: Scene) -> None:
    refused = asked.request().json
    assert (
        asked.call("DELETE", f"{asked.support}/{refused['id']}", token=asked.owner).status_code
        == 204
    )
    withdrawn = asked.request().json
    assert (
        asked.call("DELETE", f"{asked.support}/{withdrawn['id']}", token=asked.staff).status_code
        == 204
    )

    listed = asked.call("GET", asked.support, token=asked.staff).json["data"]

    assert [(row["status"], row["ended_why"]) for row in listed] == [
        ("ended", "stopped"),
        ("refused", "revoked_by_customer"),
    ]
    assert [row.action for row in asked.rows("support.")] == [
        "support.requested",
        "support.refused",
        "support.requested",
        "support.ended",
    ]
    late = asked.call("POST", f"{asked.support}/{refused['id']}/approve", {}, token=asked.owner)
    assert (late.status_code, late.json["code"]) == (409, "request_not_pending")


def test_one_request_waits_at_a_time(asked: Scene) -> None:
    asked.request()

    again = asked.request(token=asked.other)

    assert (again.status_code, again.json["code"]) == (409, "request_pending")


def test_who_consents(asked: Scene) -> None:
    wish = asked.request().json
    _, mike = asked.member("mike@customer.example")
    path = f"{asked.support}/{wish['id']}/approve"

    for token in (asked.staff, asked.boss, mike):
        assert asked.call("POST", path, {}, token=token).status_code == 403
    assert asked.call("POST", path, {"more": 1}, token=asked.owner).status_code == 422


# --- inside


def test_the_token_is_nobodys_with_an_owners_rights_less_what_is_forbidden(here: Scene) -> None:
    grant = here.request().json

    answer = here.enter(grant["id"], reason="ticket 7")

    claims, owners = here.world.claims(answer.json["access_token"]), here.world.claims(here.owner)
    assert (claims["sub"], claims["name"], claims["role"]) == (
        f"support:{grant['id']}",
        "Support",
        "owner",
    )
    assert (
        "mid" not in claims
        and claims["org"] == here.organization_id
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
        answer.json["expires_in"] == 3600 and here.rows("support.entered")[0].reason == "ticket 7"
    )
    me = here.call("GET", "/v1/me", token=answer.json["access_token"]).json
    assert (me["identity"]["given_name"], me["identity"]["email"], me["member_id"]) == (
        "Support",
        None,
        None,
    )
    assert me["act"]["grant"] == grant["id"]
    where = here.call("GET", "/v1/me/organizations", token=answer.json["access_token"])
    assert where.json == {"own": [], "serviced": []}


def test_no_stay_outlasts_its_grant(here: Scene) -> None:
    grant = here.request(minutes=20).json

    assert 1190 <= here.enter(grant["id"]).json["expires_in"] <= 1200


@pytest.mark.parametrize(("ahead", "enters"), [(-1, True), (0, False), (1, False)])
def test_a_grant_is_good_to_the_microsecond(here: Scene, ahead: int, enters: bool) -> None:
    here.request(minutes=20)
    with here.world.database.reading() as session:
        grant = session.scalars(select(SupportGrant)).one()

    assert grant.is_active(grant.expires_at + ahead * MICROSECOND) is enters
    with here.world.database.transaction() as session:
        assert support_grants.end_expired(session, now=grant.expires_at + ahead * MICROSECOND) == (
            0 if enters else 1
        )


def test_what_looks_only_changes_nothing(here: Scene) -> None:
    token = here.inside(access="read")
    claims = here.world.claims(here.owner)
    path = f"/v1/organizations/{here.organization_id}/members/{claims['mid']}"
    assert all(scope.endswith(":read") for scope in here.world.claims(token)["scope"].split())
    before = here.call("GET", path, token=token)

    refused = here.call("PATCH", path, {"name": "Else"}, token=token)

    assert before.status_code == 200
    assert (refused.status_code, refused.json["code"]) == (403, "read_only")
    assert here.call("GET", path, token=token).json == before.json
    assert here.call("DELETE", "/v1/sessions/current", token=token).status_code == 204


def test_two_of_the_staff_may_be_in_at_once_each_once(here: Scene) -> None:
    grant = here.request().json

    first, second, again = (
        here.enter(grant["id"]),
        here.enter(grant["id"], token=here.other),
        here.enter(grant["id"]),
    )

    assert (first.status_code, second.status_code) == (201, 201)
    assert (again.status_code, again.json["code"]) == (409, "already_acting")
    inside = here.call("GET", here.support, token=here.owner)
    assert [one["who"]["name"] for one in inside.json["inside"]] == ["Support", "Support"]
    assert here.tells_who(inside.text) == []


def test_eight_hours_a_day(here: Scene) -> None:
    assert here.other
    grant = here.request(minutes=4 * 1440).json["id"]

    def hours(count: int) -> list[int]:
        stays = []
        for _ in range(count):
            answer = here.enter(grant, token=here.fresh())
            stays.append(answer.json.get("expires_in") or answer.status_code)
            here.world.clock.pass_(minutes=60)
            here.tick()
        return stays

    assert hours(7) == [3600] * 7
    token = here.enter(grant, token=here.fresh()).json["access_token"]
    here.world.clock.pass_(minutes=30)
    here.call("DELETE", "/v1/sessions/current", token=token)
    left = here.enter(grant, token=here.fresh()).json["expires_in"]
    here.world.clock.pass_(minutes=31)
    here.tick()
    spent = here.enter(grant, token=here.fresh())

    assert 1790 <= left <= 1800
    assert (spent.status_code, spent.json["code"]) == (429, "support_hours_spent")
    assert 15 * 3600 < int(spent.headers["Retry-After"]) <= 17 * 3600
    assert here.enter(grant, token=here.fresh("other")).status_code == 201
    here.world.clock.pass_(hours=24)
    assert hours(1) == [3600]


def test_by_exchange(here: Scene) -> None:
    wanted = {"organization_id": here.organization_id}
    without = here.call("POST", "/v1/sessions/exchange", wanted, token=here.staff)
    here.request(access="read")
    grant = here.request().json
    listed = here.call("GET", "/v1/me/organizations", token=here.staff).json

    entered = here.call("POST", "/v1/sessions/exchange", wanted, token=here.staff)

    assert (without.status_code, without.json["code"]) == (409, "grant_not_active")
    assert [(one["id"], one["role"], one["open"]) for one in listed["serviced"]] == [
        (here.organization_id, "owner", True)
    ]
    assert entered.status_code == 201 and "refresh_token" not in entered.json
    assert entered.json["identity"]["given_name"] == "Support"
    claims = here.world.claims(entered.json["access_token"])
    assert (claims["act"]["grant"], claims["act"]["access"]) == (grant["id"], "full"), (
        "the widest, then the longest"
    )
    assert claims["org"] == here.organization_id
    assert here.call("GET", "/v1/me/organizations", token=here.owner).json["serviced"] == []


def test_who_enters(here: Scene) -> None:
    grant = here.request().json["id"]
    _, viewer = here.member("vera@provider.example", at=here.provider_id, preset="viewer")
    _, helper = here.member("sam@provider.example", at=here.provider_id, preset="support")
    wanted = {"organization_id": here.organization_id}

    assert here.enter(grant, token=viewer).status_code == 403
    assert here.call("POST", "/v1/sessions/exchange", wanted, token=viewer).status_code == 403
    assert here.enter(grant, token=here.owner).status_code == 403
    assert here.enter(grant, token=helper).status_code == 201
    assert here.call("GET", "/v1/me/organizations", token=viewer).json["serviced"] == []


def test_the_grants_of_others_do_not_exist(here: Scene) -> None:
    grant = here.request().json["id"]
    foreign, stranger = here.world.owner("else@other.example")
    second, _ = here.world.owner("second@customer.example", provider_id=here.provider_id)

    assert here.call("GET", here.support, token=stranger).status_code == 404
    assert here.call("DELETE", f"{here.support}/{grant}", token=stranger).status_code == 404
    assert (
        here.call(
            "POST", f"/v1/organizations/{foreign}/remote-support", {"reason": "x"}, token=here.staff
        ).status_code
        == 404
    )
    for path in (
        f"/v1/organizations/{second}/remote-support/{grant}",
        f"{here.support}/grt_x",
        f"{here.support}/x",
    ):
        assert here.call("POST", f"{path}/enter", {}, token=here.staff).status_code == 404
        assert here.call("DELETE", path, token=here.staff).status_code == 404


# --- ends

ENDS: dict[str, tuple[str, str, Callable[[Scene, str], Any]]] = {
    "the customer ends the grant": (
        "revoked_by_customer",
        "ended",
        lambda s, g: s.call("DELETE", f"{s.support}/{g}", token=s.owner),
    ),
    "whoever asked ends the grant": (
        "stopped",
        "ended",
        lambda s, g: s.call("DELETE", f"{s.support}/{g}", token=s.staff),
    ),
    "a colleague ends the grant": (
        "forced_by_provider",
        "ended",
        lambda s, g: s.call("DELETE", f"{s.support}/{g}", token=s.other),
    ),
    "the managed service goes off": (
        "forced_by_provider",
        "ended",
        lambda s, g: s.settings(version=2, managed_service=False),
    ),
    "the customer manages itself from now on": (
        "organization_changed",
        "ended",
        lambda s, g: s.world.hear(
            org.OrganizationChanged(
                organization_id=s.organization_id,
                provider_id=s.provider_id,
                name="Acme Ltd",
                billing={},
                buyer_tags={},
                managed_by="customer",
            )
        ),
    ),
    "the organization is closed": (
        "organization_changed",
        "ended",
        lambda s, g: s.world.hear(
            org.EndAccess(
                organization_id=s.organization_id, deletion_id="del_01k9jm4h6jf2sb9c1d0e5f7g8h"
            )
        ),
    ),
    "the organization is suspended": (
        "organization_changed",
        "active",
        lambda s, g: s.world.hear(
            org.OrganizationSuspended(organization_id=s.organization_id, provider_id=s.provider_id)
        ),
    ),
    "staff signs out": (
        "staff_session_ended",
        "active",
        lambda s, g: s.call("DELETE", "/v1/sessions/current", token=s.staff),
    ),
    "the time is over": (
        "expired",
        "expired",
        lambda s, g: (s.world.clock.pass_(minutes=50), s.tick()),
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_it_ends(here: Scene, how: str) -> None:
    why, status, end = ENDS[how]
    assert here.other
    grant = here.request(minutes=50).json["id"]
    token = here.enter(grant).json["access_token"]

    end(here, grant)

    assert here.world.revoked(token), "the gateway goes on letting it in"
    with here.world.database.reading() as session:
        one = session.scalars(select(SupportGrant)).one()
    assert (here.why(), one.status) == ([why], status)
    assert here.stays()[0].ended_why == why
    assert [row.reason for row in here.rows("support.left")] == [why]
    assert here.enter(grant, token=here.fresh("other")).status_code == (
        201 if how == "staff signs out" else 409
    )


def test_one_stay_alone_is_ended_by_either_side(here: Scene) -> None:
    grant = here.request().json["id"]
    first = here.enter(grant).json["access_token"]
    second = here.enter(grant, token=here.other).json["access_token"]

    answer = here.call(
        "DELETE", f"{here.support}/{here.world.claims(first)['sid']}", token=here.owner
    )

    assert answer.status_code == 204
    assert (here.world.revoked(first), here.world.revoked(second)) == (True, False)
    assert here.why() == ["revoked_by_customer"] and here.enter(grant).status_code == 201


def test_ending_what_has_ended_changes_nothing(here: Scene) -> None:
    grant = here.request().json["id"]

    told = [
        here.call("DELETE", f"{here.support}/{grant}", token=here.owner).status_code
        for _ in range(2)
    ]

    assert told == [204, 204] and len(here.rows("support.ended")) == 1


def test_pending_requests_end_with_the_managed_service(asked: Scene) -> None:
    wish = asked.request().json["id"]

    asked.settings(version=2, managed_service=False)
    asked.settings(version=3, managed_service=True)

    late = asked.call("POST", f"{asked.support}/{wish}/approve", {}, token=asked.owner)
    assert (late.status_code, late.json["code"]) == (409, "request_not_pending")


def test_old_requests_expire(asked: Scene) -> None:
    asked.request()
    asked.world.clock.pass_(hours=72)

    assert (asked.tick(), asked.tick()) == (1, 0)
    assert [row.action for row in asked.rows("support.")] == [
        "support.requested",
        "support.expired",
    ]
    assert asked.rows("support.expired")[0].actor["kind"] == "system"


# --- mails


def test_the_end_of_a_long_grant_is_announced_once_a_day_before(here: Scene) -> None:
    def announced() -> list[str]:
        here.tick()
        return [mail["To"] for mail in here.world.post() if "ends tomorrow" in mail["Subject"]]

    here.request(minutes=3 * 1440)
    here.request(minutes=2 * 1440)
    here.world.clock.pass_(hours=47)
    early = announced()
    here.world.clock.pass_(hours=1, minutes=1)

    assert (early, announced(), announced()) == (
        [],
        ["olga@customer.example"],
        ["olga@customer.example"],
    )
    assert (
        here.tells_who(*texts([mail for mail in here.world.post() if "olga" in mail["To"]])) == []
    )


def test_the_owner_gets_a_receipt(here: Scene) -> None:
    token = here.inside()
    here.world.clock.pass_(minutes=12)
    here.call("DELETE", "/v1/sessions/current", token=token)
    ended = here.world.said(membership.ActingEnded)[0]

    here.world.hear(
        org.SupportReceiptReady(
            organization_id=here.organization_id,
            acting_id=ended.acting_id,
            left_out=1,
            rows=[
                org.Change(
                    at="2026-01-31T09:00:00.000000Z",
                    action="organization.changed",
                    target={"type": "organization", "id": "org_1", "label": "Acme Ltd"},
                    changes=[
                        {"field": "name", "before": "Acme Ltd", "after": "Acme\n Limited"},
                        {
                            "field": "billing",
                            "before": {"email": "a@x.example", "city": "B"},
                            "after": {"email": "b@x.example", "city": "B"},
                        },
                    ],
                )
            ],
        )
    )

    mails = [mail for mail in here.world.post() if "Support accessed" in mail["Subject"]]
    text = texts(mails)[0]
    assert [mail["To"] for mail in mails] == ["olga@customer.example"]
    for part in (
        "12 minutes",
        "a closer look",
        "through Remote Support",
        "support left",
        "organization.changed: Acme Ltd",
        "name: Acme Ltd -> Acme Limited",
        "billing.email: a@x.example -> b@x.example",
        "and 1 more entry",
    ):
        assert part in text
    assert "billing.city" not in text and here.tells_who(text) == []


def test_whoever_was_acted_as_gets_the_receipt_too_and_nothing_changed_is_said(here: Scene) -> None:
    jane, _ = here.member("jane@customer.example")
    token = here.login_as(jane).json["access_token"]
    here.call("DELETE", "/v1/sessions/current", token=token)
    ended = here.world.said(membership.ActingEnded)[0]

    here.world.hear(
        org.SupportReceiptReady(
            organization_id=here.organization_id, acting_id=ended.acting_id, rows=[], left_out=0
        )
    )

    mails = [mail for mail in here.world.post() if "Support accessed" in mail["Subject"]]
    assert sorted(mail["To"] for mail in mails) == [
        "jane@customer.example",
        "olga@customer.example",
    ]
    assert all(
        "Nothing was changed." in text and "as Jane Newcomer" in text for text in texts(mails)
    )
    assert here.tells_who(*texts(mails)) == []


def test_an_address_that_nobody_has_proved_gets_no_receipt(here: Scene) -> None:
    jane, _ = here.member("jane@customer.example")
    here.call("DELETE", "/v1/sessions/current", token=here.login_as(jane).json["access_token"])
    ended = here.world.said(membership.ActingEnded)[0]
    moved = f"/v1/organizations/{here.organization_id}/members/{jane}"
    assert (
        here.call("PATCH", moved, {"email": "typo@elsewhere.example"}, token=here.owner).status_code
        == 200
    )

    here.world.hear(
        org.SupportReceiptReady(
            organization_id=here.organization_id, acting_id=ended.acting_id, rows=[], left_out=0
        )
    )

    mails = [mail for mail in here.world.post() if "Support accessed" in mail["Subject"]]
    assert [mail["To"] for mail in mails] == ["olga@customer.example"]


# --- what is seen


def test_the_customer_sees_support_and_staff_see_who(here: Scene) -> None:
    grant = here.request().json["id"]
    here.enter(grant, reason="ticket 8")
    here.call(
        "DELETE", f"{here.support}/{here.request(token=here.other).json['id']}", token=here.other
    )

    theirs, ours = (
        here.call("GET", here.support, token=token) for token in (here.owner, here.staff)
    )
    overview = here.call("GET", "/v1/remote-support", token=here.staff).json

    assert here.tells_who(theirs.text) == []
    assert {row["requested_by"]["name"] for row in theirs.json["data"]} == {"Support"}
    assert theirs.json["inside"][0]["reason"] == "ticket 8"
    assert [row["requested_by"]["name"] for row in ours.json["data"]] == [
        "Other.svensson Newcomer",
        "Staff.svensson Newcomer",
    ]
    assert [one["who"]["name"] for one in overview["inside"]] == ["Staff.svensson Newcomer"]
    assert [row["id"] for row in overview["data"]] == [grant], "only what is good now"
    assert overview["inside"][0]["organization"]["id"] == here.organization_id


def test_members_mails_and_counts_do_not_know_of_support(here: Scene) -> None:
    def seen() -> str:
        root = f"/v1/organizations/{here.organization_id}"
        paths = ("members", "members?q=support", "members?role=owner")
        shown = [here.call("GET", f"{root}/{path}", token=here.owner).json for path in paths]
        return json.dumps(
            [shown, [vars(one) for one in here.world.said(membership.MembersChanged)]], default=str
        )

    mails = len(here.world.post())
    before = seen()
    token = here.inside()
    during = seen()
    here.call("DELETE", "/v1/sessions/current", token=token)

    assert before == during == seen() and len(here.world.post()) == mails


def test_the_list_is_paged(here: Scene) -> None:
    made = [here.request().json["id"] for _ in range(3)]

    first = here.call("GET", f"{here.support}?limit=2", token=here.owner).json
    second = here.call(
        "GET", f"{here.support}?limit=2&cursor={first['next_cursor']}", token=here.owner
    ).json

    assert [row["id"] for row in first["data"] + second["data"]] == made[::-1]
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert here.call("GET", f"{here.support}?cursor=x", token=here.owner).status_code == 422


def test_a_deletion_is_warned_of_who_is_inside(here: Scene) -> None:
    here.inside()

    path = f"/internal/organizations/{here.organization_id}/closing-check"
    warned = here.world.client.get(path, auth=("org", "org's own")).json["warnings"]

    assert [one["code"] for one in warned] == ["acting_session"]


def test_erasing_the_organization_forgets_what_was_written(asked: Scene) -> None:
    wish = asked.request().json["id"]
    asked.call("POST", f"{asked.support}/{wish}/approve", {}, token=asked.owner)
    asked.enter(wish)
    deletion = {
        "organization_id": asked.organization_id,
        "deletion_id": "del_01k9jm4h6jf2sb9c1d0e5f7g8h",
    }
    asked.world.hear(org.EndAccess(**deletion))

    asked.world.hear(org.EraseMembers(**deletion))

    with asked.world.database.reading() as session:
        grant = session.scalars(select(SupportGrant)).one()
    assert (grant.reason, grant.decided_by_name, asked.stays()[0].reason) == ("", None, "")


def test_the_database_holds_one_stay_of_each_at_a_time(here: Scene) -> None:
    """Whoever gets past the look meets the unique index."""
    grant = here.request().json["id"]
    here.enter(grant)

    with (
        pytest.raises(Exception, match=r"(?i)unique"),
        here.world.database.transaction() as session,
    ):
        one = here.stays()[0]
        values = {
            c.key: getattr(one, c.key) for c in acting_sessions.ActingSession.__table__.columns
        }
        session.add(
            acting_sessions.ActingSession(**values | {"id": here.world.claims(here.owner)["sid"]})
        )


def test_settings_and_grants_do_not_cross(here: Scene) -> None:
    """Older settings that arrive late end nothing."""
    grant = here.request().json["id"]
    here.settings(version=5, managed_service=True)
    here.settings(version=4, managed_service=False)

    assert here.enter(grant).status_code == 201
    with here.world.database.transaction() as session:
        session.execute(update(SupportGrant).values(status="expired"))
    assert here.enter(grant, token=here.other).status_code == 409


def test_who_was_refused_a_way_in_is_support_to_the_customer(here: Scene) -> None:
    _, viewer = here.member(
        "viewer.svensson@provider.example", at=here.provider_id, preset="viewer"
    )

    assert here.request(token=viewer).status_code == 403

    (row,) = here.rows("support.request")
    assert (row.outcome, row.actor["kind"], row.actor["label"]) == ("denied", "support", "Support")
    assert row.actor["acting"]["sub"] == here.world.claims(viewer)["sub"]


def test_only_proved_addresses_hear_of_a_request(asked: Scene) -> None:
    asked.member("anna@customer.example", role="admin")
    body = {
        "name": "Typo",
        "email": "typo@elsewhere.example",
        "role": "admin",
        "portal_access": True,
    }
    asked.call(
        "POST", f"/v1/organizations/{asked.organization_id}/members", body, token=asked.owner
    )
    before = len(asked.world.post())

    asked.request()

    told = {mail["To"] for mail in asked.world.post()[before:]}
    assert "anna@customer.example" in told and "typo@elsewhere.example" not in told


def test_staff_do_not_consent_to_themselves(asked: Scene) -> None:
    """A colleague who was made an admin of the customer is still a colleague."""
    wish = asked.request().json
    member_id, as_admin = asked.member("staff.svensson@provider.example", role="admin")

    refused = asked.call("POST", f"{asked.support}/{wish['id']}/approve", {}, token=as_admin)

    assert refused.status_code == 403 and "work for the provider" in refused.json["detail"]
    assert asked.login_as(member_id, token=asked.other).status_code == 409
    assert (
        asked.call(
            "POST", f"{asked.support}/{wish['id']}/approve", {}, token=asked.owner
        ).status_code
        == 200
    )
