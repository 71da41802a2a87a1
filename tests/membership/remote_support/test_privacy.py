"""What each side sees of Remote Support: the customer never who of the staff it was."""

import json

import pytest
from contracts import membership, org

from tests.membership.support_setup import SupportSetup, texts


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


def test_a_denied_staff_member_appears_as_support_to_the_customer(support: SupportSetup) -> None:
    _, viewer = support.member(
        "viewer.svensson@provider.example", at=support.provider_id, preset="viewer"
    )

    assert support.request(token=viewer).status_code == 403

    (row,) = support.rows("support.request")
    assert (row.outcome, row.actor["kind"], row.actor["label"]) == ("denied", "support", "Support")
    assert row.actor["acting"]["sub"] == support.service.claims(viewer)["sub"]


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
