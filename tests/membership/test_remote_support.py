"""Remote Support: grants, consent, sessions under them, and what each side sees."""

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

from tests.membership.conftest import MembershipService
from tests.membership.support_setup import SupportSetup, support_setup, texts

MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def support(service: MembershipService) -> SupportSetup:
    return support_setup(service)


@pytest.fixture
def setup(service: MembershipService) -> SupportSetup:
    """A customer that manages itself."""
    return support_setup(service, managed_by="customer")


# --- grants


def test_a_grant_is_active_at_once_where_the_provider_manages(support: SupportSetup) -> None:
    answer = support.request(minutes=90, access="read")

    assert answer.status_code == 201, answer.text
    staff = support.service.claims(support.staff)
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
    row = support.rows("support.requested")[0]
    assert (row.reason, row.actor["kind"], row.actor["acting"]["sub"]) == (
        "a closer look",
        "support",
        staff["sub"],
    )
    assert row.target["id"] == answer.json["id"]


def test_a_grant_defaults_to_a_day_and_full_access(support: SupportSetup) -> None:
    grant = support.request().json

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
def test_invalid_requests_are_refused(support: SupportSetup, body: dict[str, Any]) -> None:
    assert support.request(**body).status_code == 422


def test_the_managed_service_must_be_on(service: MembershipService) -> None:
    there = support_setup(service, managed_service=False)

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


def test_only_active_customers_can_be_asked(support: SupportSetup) -> None:
    own = support.call(
        "POST",
        f"/v1/organizations/{support.provider_id}/remote-support",
        {"reason": "x"},
        token=support.staff,
    )
    support.service.receive(
        org.OrganizationSuspended(
            organization_id=support.organization_id, provider_id=support.provider_id
        )
    )

    assert (own.status_code, own.json["code"]) == (409, "not_a_customer")
    assert (support.request().status_code, support.request().json["code"]) == (
        409,
        "organization_not_active",
    )


# --- consent


def test_a_self_managed_customer_consents_first(setup: SupportSetup) -> None:
    setup.member("anna@customer.example", role="admin")
    setup.member("mike@customer.example")
    grant = setup.request(minutes=60).json

    early = setup.enter(grant["id"])
    mails = [mail for mail in setup.service.send_mails() if "requests access" in mail["Subject"]]
    approved = setup.call(
        "POST", f"{setup.grants_path}/{grant['id']}/approve", {}, token=setup.owner
    )
    entered = setup.enter(grant["id"])

    assert grant["status"] == "pending" and (early.status_code, early.json["code"]) == (
        409,
        "grant_not_active",
    )
    assert sorted(mail["To"] for mail in mails) == [
        "anna@customer.example",
        "olga@customer.example",
    ]
    assert "a closer look" in mails[0].get_content() and "1 hour" in mails[0].get_content()
    assert setup.staff_details_in(*texts(mails)) == []
    assert (approved.status_code, approved.json["status"]) == (200, "active"), approved.text
    assert (
        approved.json["decided_by"]["name"] == "Olga Owner"
        and setup.staff_details_in(approved.text) == []
    )
    assert entered.status_code == 201
    assert [row.action for row in setup.rows("support.")] == [
        "support.requested",
        "support.approved",
        "support.entered",
    ]


def test_the_time_runs_from_the_consent(setup: SupportSetup) -> None:
    pending = setup.request(minutes=60).json
    setup.service.clock.advance(hours=70)
    setup.owner = setup.service.log_in("olga@customer.example")["access_token"]

    approved = setup.call(
        "POST", f"{setup.grants_path}/{pending['id']}/approve", {}, token=setup.owner
    )

    assert approved.status_code == 200
    with setup.service.database.reading() as session:
        grant = session.scalars(select(SupportGrant)).one()
        assert grant.decided_at is not None and grant.expires_at - grant.decided_at == timedelta(
            minutes=60
        )


@pytest.mark.parametrize(("ahead", "status"), [(-1, 200), (0, 409), (1, 409)])
def test_a_request_is_valid_for_72_hours_to_the_microsecond(
    setup: SupportSetup, ahead: int, status: int
) -> None:
    requested = setup.request().json
    with setup.service.database.transaction() as session:
        grant = session.scalars(select(SupportGrant)).one()
        at = grant.requested_at + timedelta(hours=72) + ahead * MICROSECOND
        assert grant.expires_at == grant.requested_at + timedelta(hours=72)
        by = Actor(kind="member", id=setup.service.claims(setup.owner)["sub"], label="Olga Owner")
        try:
            support_grants.approve_grant(
                session,
                organization_id=setup.organization_id,
                grant_id=requested["id"],
                now=at,
                by=by,
            )
            code = 200
        except support_grants.RequestNotPending:
            code = 409

    assert code == status


def test_refusing_and_withdrawing(setup: SupportSetup) -> None:
    refused = setup.request().json
    assert (
        setup.call("DELETE", f"{setup.grants_path}/{refused['id']}", token=setup.owner).status_code
        == 204
    )
    withdrawn = setup.request().json
    assert (
        setup.call(
            "DELETE", f"{setup.grants_path}/{withdrawn['id']}", token=setup.staff
        ).status_code
        == 204
    )

    listed = setup.call("GET", setup.grants_path, token=setup.staff).json["data"]

    assert [(row["status"], row["ended_why"]) for row in listed] == [
        ("ended", "stopped"),
        ("refused", "revoked_by_customer"),
    ]
    assert [row.action for row in setup.rows("support.")] == [
        "support.requested",
        "support.refused",
        "support.requested",
        "support.ended",
    ]
    late = setup.call("POST", f"{setup.grants_path}/{refused['id']}/approve", {}, token=setup.owner)
    assert (late.status_code, late.json["code"]) == (409, "request_not_pending")


def test_one_pending_request_at_a_time(setup: SupportSetup) -> None:
    setup.request()

    again = setup.request(token=setup.other)

    assert (again.status_code, again.json["code"]) == (409, "request_pending")


def test_who_may_consent(setup: SupportSetup) -> None:
    grant = setup.request().json
    _, mike = setup.member("mike@customer.example")
    path = f"{setup.grants_path}/{grant['id']}/approve"

    for token in (setup.staff, setup.boss, mike):
        assert setup.call("POST", path, {}, token=token).status_code == 403
    assert setup.call("POST", path, {"more": 1}, token=setup.owner).status_code == 422


# --- support sessions


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


# --- ends

ENDS: dict[str, tuple[str, str, Callable[[SupportSetup, str], Any]]] = {
    "the customer ends the grant": (
        "revoked_by_customer",
        "ended",
        lambda s, g: s.call("DELETE", f"{s.grants_path}/{g}", token=s.owner),
    ),
    "the requester ends the grant": (
        "stopped",
        "ended",
        lambda s, g: s.call("DELETE", f"{s.grants_path}/{g}", token=s.staff),
    ),
    "a colleague ends the grant": (
        "forced_by_provider",
        "ended",
        lambda s, g: s.call("DELETE", f"{s.grants_path}/{g}", token=s.other),
    ),
    "the managed service goes off": (
        "forced_by_provider",
        "ended",
        lambda s, g: s.settings(version=2, managed_service=False),
    ),
    "the customer manages itself from now on": (
        "organization_changed",
        "ended",
        lambda s, g: s.service.receive(
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
        lambda s, g: s.service.receive(
            org.EndAccess(
                organization_id=s.organization_id, deletion_id="del_01k9jm4h6jf2sb9c1d0e5f7g8h"
            )
        ),
    ),
    "the organization is suspended": (
        "organization_changed",
        "active",
        lambda s, g: s.service.receive(
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
        lambda s, g: (s.service.clock.advance(minutes=50), s.end_expired()),
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_it_ends(support: SupportSetup, how: str) -> None:
    why, status, end = ENDS[how]
    assert support.other
    grant = support.request(minutes=50).json["id"]
    token = support.enter(grant).json["access_token"]

    end(support, grant)

    assert support.service.is_revoked(token), "the gateway goes on letting it in"
    with support.service.database.reading() as session:
        one = session.scalars(select(SupportGrant)).one()
    assert (support.end_reasons(), one.status) == ([why], status)
    assert support.acting_sessions()[0].ended_why == why
    assert [row.reason for row in support.rows("support.left")] == [why]
    assert support.enter(grant, token=support.fresh("other")).status_code == (
        201 if how == "staff signs out" else 409
    )


def test_either_side_can_end_a_single_session(support: SupportSetup) -> None:
    grant = support.request().json["id"]
    first = support.enter(grant).json["access_token"]
    second = support.enter(grant, token=support.other).json["access_token"]

    answer = support.call(
        "DELETE",
        f"{support.grants_path}/{support.service.claims(first)['sid']}",
        token=support.owner,
    )

    assert answer.status_code == 204
    assert (support.service.is_revoked(first), support.service.is_revoked(second)) == (True, False)
    assert (
        support.end_reasons() == ["revoked_by_customer"] and support.enter(grant).status_code == 201
    )


def test_ending_twice_changes_nothing(support: SupportSetup) -> None:
    grant = support.request().json["id"]

    statuses = [
        support.call("DELETE", f"{support.grants_path}/{grant}", token=support.owner).status_code
        for _ in range(2)
    ]

    assert statuses == [204, 204] and len(support.rows("support.ended")) == 1


def test_pending_requests_end_with_the_managed_service(setup: SupportSetup) -> None:
    grant = setup.request().json["id"]

    setup.settings(version=2, managed_service=False)
    setup.settings(version=3, managed_service=True)

    late = setup.call("POST", f"{setup.grants_path}/{grant}/approve", {}, token=setup.owner)
    assert (late.status_code, late.json["code"]) == (409, "request_not_pending")


def test_old_requests_expire(setup: SupportSetup) -> None:
    setup.request()
    setup.service.clock.advance(hours=72)

    assert (setup.end_expired(), setup.end_expired()) == (1, 0)
    assert [row.action for row in setup.rows("support.")] == [
        "support.requested",
        "support.expired",
    ]
    assert setup.rows("support.expired")[0].actor["kind"] == "system"


# --- mails


def test_the_owner_is_warned_once_a_day_before_a_long_grant_ends(support: SupportSetup) -> None:
    def announced() -> list[str]:
        support.end_expired()
        return [
            mail["To"]
            for mail in support.service.send_mails()
            if "ends tomorrow" in mail["Subject"]
        ]

    support.request(minutes=3 * 1440)
    support.request(minutes=2 * 1440)
    support.service.clock.advance(hours=47)
    early = announced()
    support.service.clock.advance(hours=1, minutes=1)

    assert (early, announced(), announced()) == (
        [],
        ["olga@customer.example"],
        ["olga@customer.example"],
    )
    assert (
        support.staff_details_in(
            *texts([mail for mail in support.service.send_mails() if "olga" in mail["To"]])
        )
        == []
    )


def test_the_owner_gets_a_receipt(support: SupportSetup) -> None:
    token = support.enter_with_new_grant()
    support.service.clock.advance(minutes=12)
    support.call("DELETE", "/v1/sessions/current", token=token)
    ended = support.service.published(membership.ActingEnded)[0]

    support.service.receive(
        org.SupportReceiptReady(
            organization_id=support.organization_id,
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

    mails = [
        mail for mail in support.service.send_mails() if "What support did in" in mail["Subject"]
    ]
    text = texts(mails)[0]
    assert [mail["To"] for mail in mails] == ["olga@customer.example"]
    for part in (
        "12 minutes",
        "a closer look",
        "through Remote Support",
        "support ended the session",
        "Organization changed: Acme Ltd",
        "name: Acme Ltd -> Acme Limited",
        "billing.email: a@x.example -> b@x.example",
        "and 1 more entry",
    ):
        assert part in text
    assert "billing.city" not in text and support.staff_details_in(text) == []


def test_the_member_acted_as_gets_the_receipt_too_even_without_changes(
    support: SupportSetup,
) -> None:
    jane, _ = support.member("jane@customer.example")
    token = support.login_as(jane).json["access_token"]
    support.call("DELETE", "/v1/sessions/current", token=token)
    ended = support.service.published(membership.ActingEnded)[0]

    support.service.receive(
        org.SupportReceiptReady(
            organization_id=support.organization_id, acting_id=ended.acting_id, rows=[], left_out=0
        )
    )

    mails = [
        mail for mail in support.service.send_mails() if "What support did in" in mail["Subject"]
    ]
    assert sorted(mail["To"] for mail in mails) == [
        "jane@customer.example",
        "olga@customer.example",
    ]
    assert all(
        "Nothing was changed." in text and "as Jane Newcomer" in text for text in texts(mails)
    )
    assert support.staff_details_in(*texts(mails)) == []


def test_an_address_that_was_not_proved_gets_no_receipt(support: SupportSetup) -> None:
    jane, _ = support.member("jane@customer.example")
    support.call(
        "DELETE", "/v1/sessions/current", token=support.login_as(jane).json["access_token"]
    )
    ended = support.service.published(membership.ActingEnded)[0]
    moved = f"/v1/organizations/{support.organization_id}/members/{jane}"
    assert (
        support.call(
            "PATCH", moved, {"email": "typo@elsewhere.example"}, token=support.owner
        ).status_code
        == 200
    )

    support.service.receive(
        org.SupportReceiptReady(
            organization_id=support.organization_id, acting_id=ended.acting_id, rows=[], left_out=0
        )
    )

    mails = [
        mail for mail in support.service.send_mails() if "What support did in" in mail["Subject"]
    ]
    assert {mail["To"] for mail in mails} == {"jane@customer.example", "olga@customer.example"}


# --- what is seen


def test_the_customer_sees_support_and_staff_see_the_person(support: SupportSetup) -> None:
    grant = support.request().json["id"]
    support.enter(grant, reason="ticket 8")
    support.call(
        "DELETE",
        f"{support.grants_path}/{support.request(token=support.other).json['id']}",
        token=support.other,
    )

    theirs, ours = (
        support.call("GET", support.grants_path, token=token)
        for token in (support.owner, support.staff)
    )
    overview = support.call("GET", "/v1/remote-support", token=support.staff).json

    assert support.staff_details_in(theirs.text) == []
    assert {row["requested_by"]["name"] for row in theirs.json["data"]} == {"Support"}
    assert theirs.json["inside"][0]["reason"] == "ticket 8"
    assert [row["requested_by"]["name"] for row in ours.json["data"]] == [
        "Other.svensson Newcomer",
        "Staff.svensson Newcomer",
    ]
    assert [one["who"]["name"] for one in overview["inside"]] == ["Staff.svensson Newcomer"]
    assert [row["id"] for row in overview["data"]] == [grant], "only what is good now"
    assert overview["inside"][0]["organization"]["id"] == support.organization_id


def test_support_does_not_appear_in_members_emails_and_counts(support: SupportSetup) -> None:
    def seen() -> str:
        root = f"/v1/organizations/{support.organization_id}"
        paths = ("members", "members?q=support", "members?role=owner")
        shown = [support.call("GET", f"{root}/{path}", token=support.owner).json for path in paths]
        return json.dumps(
            [shown, [vars(one) for one in support.service.published(membership.MembersChanged)]],
            default=str,
        )

    mails = len(support.service.send_mails())
    before = seen()
    token = support.enter_with_new_grant()
    during = seen()
    support.call("DELETE", "/v1/sessions/current", token=token)

    assert before == during == seen() and len(support.service.send_mails()) == mails


def test_the_list_is_paged(support: SupportSetup) -> None:
    made = [support.request().json["id"] for _ in range(3)]

    first = support.call("GET", f"{support.grants_path}?limit=2", token=support.owner).json
    second = support.call(
        "GET", f"{support.grants_path}?limit=2&cursor={first['next_cursor']}", token=support.owner
    ).json

    assert [row["id"] for row in first["data"] + second["data"]] == made[::-1]
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert (
        support.call("GET", f"{support.grants_path}?cursor=x", token=support.owner).status_code
        == 422
    )


def test_the_closing_check_warns_of_active_support_sessions(support: SupportSetup) -> None:
    support.enter_with_new_grant()

    path = f"/internal/organizations/{support.organization_id}/closing-check"
    warned = support.service.client.get(path, auth=("org", "org's own")).json["warnings"]

    assert [one["code"] for one in warned] == ["acting_session"]


def test_erasing_the_organization_erases_the_reasons(setup: SupportSetup) -> None:
    pending = setup.request().json["id"]
    setup.call("POST", f"{setup.grants_path}/{pending}/approve", {}, token=setup.owner)
    setup.enter(pending)
    deletion = {
        "organization_id": setup.organization_id,
        "deletion_id": "del_01k9jm4h6jf2sb9c1d0e5f7g8h",
    }
    setup.service.receive(org.EndAccess(**deletion))

    setup.service.receive(org.EraseMembers(**deletion))

    with setup.service.database.reading() as session:
        grant = session.scalars(select(SupportGrant)).one()
    assert (grant.reason, grant.decided_by_name, setup.acting_sessions()[0].reason) == (
        "",
        None,
        "",
    )


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


def test_a_denied_staff_member_appears_as_support_to_the_customer(support: SupportSetup) -> None:
    _, viewer = support.member(
        "viewer.svensson@provider.example", at=support.provider_id, preset="viewer"
    )

    assert support.request(token=viewer).status_code == 403

    (row,) = support.rows("support.request")
    assert (row.outcome, row.actor["kind"], row.actor["label"]) == ("denied", "support", "Support")
    assert row.actor["acting"]["sub"] == support.service.claims(viewer)["sub"]


def test_only_verified_addresses_are_notified_of_a_request(setup: SupportSetup) -> None:
    setup.member("anna@customer.example", role="admin")
    body = {
        "name": "Typo",
        "email": "typo@elsewhere.example",
        "role": "admin",
        "portal_access": True,
    }
    setup.call(
        "POST", f"/v1/organizations/{setup.organization_id}/members", body, token=setup.owner
    )
    before = len(setup.service.send_mails())

    setup.request()

    notified = {mail["To"] for mail in setup.service.send_mails()[before:]}
    assert "anna@customer.example" in notified and "typo@elsewhere.example" not in notified


def test_staff_cannot_consent_to_their_own_request(setup: SupportSetup) -> None:
    """A colleague who was made an admin of the customer is still a colleague."""
    grant = setup.request().json
    member_id, as_admin = setup.member("staff.svensson@provider.example", role="admin")

    refused = setup.call("POST", f"{setup.grants_path}/{grant['id']}/approve", {}, token=as_admin)

    assert refused.status_code == 403 and "work for the provider" in refused.json["detail"]
    assert (
        setup.call(
            "POST", f"{setup.grants_path}/{grant['id']}/approve", {}, token=setup.owner
        ).status_code
        == 200
    )
    assert setup.login_as(member_id, token=setup.other).json["code"] == "member_not_eligible"


def _signed(support: SupportSetup) -> str:
    """A reason in which the staff member gives away who they are, in every way they can."""
    staff = support.service.claims(support.staff)
    address = "staff.svensson@provider.example"
    named = f"{staff['name']}, {staff['name'].upper()} <{address.title()}>, Staff.svensson"
    return f"{named}: invoices ({staff['sub']}, {staff['sid']})"


def test_a_request_does_not_say_who_made_it(setup: SupportSetup) -> None:
    setup.request(reason=_signed(setup))

    listed = setup.call("GET", setup.grants_path, token=setup.owner).json
    mails = [mail for mail in setup.service.send_mails() if "requests access" in mail["Subject"]]
    audited = [row.reason for row in setup.rows("support.requested")]
    assert listed["data"][0]["reason"].endswith(": invoices (Support, Support)")
    assert len(mails) == 1 and "invoices" in texts(mails)[0]
    assert setup.staff_details_in(listed, *texts(mails), *audited) == []


@pytest.mark.parametrize("how", ["login as", "enter", "enter for the reason of the grant"])
def test_a_session_does_not_say_whose_it_is(support: SupportSetup, how: str) -> None:
    signed, owner_id = _signed(support), support.service.claims(support.owner)["mid"]
    if how == "login as":
        begun = support.login_as(owner_id, reason=signed)
    elif how == "enter":
        begun = support.enter(support.request().json["id"], reason=signed)
    else:
        begun = support.enter(support.request(reason=signed).json["id"])
    inside = support.call("GET", support.grants_path, token=support.owner).json["inside"]
    sid = support.service.claims(begun.json["access_token"])["sid"]
    support.call("DELETE", f"/v1/sessions/{sid}", token=support.staff)
    known = len(support.service.send_mails())
    receipt = org.SupportReceiptReady(
        organization_id=support.organization_id, acting_id=sid, rows=[], left_out=0
    )
    support.service.receive(receipt)

    mails = texts(support.service.send_mails()[known:])
    audited = [row.reason for row in support.rows()]
    assert inside[0]["reason"].endswith(": invoices (Support, Support)")
    assert len(mails) == 1 and "invoices" in mails[0]
    assert support.staff_details_in(inside, *mails, *audited) == []
