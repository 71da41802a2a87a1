"""What is seen of Login As, by the customer and by the staff."""

from typing import Any

from contracts import membership, org

from tests.membership.support_setup import SupportSetup


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
