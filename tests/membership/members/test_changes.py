"""A member's address, login and name are changed."""

from contracts import membership as messages

from tests.membership.members.conftest import OLGA


def test_a_new_address_is_verified_again_and_takes_over_nobody(setup):
    service = setup.service
    service.owner("vera@other.example", name="Other")
    setup.add("vera@other.example")
    service.accept("vera@other.example")
    people = setup.call("GET", "?q=vera").json["data"]
    changed = setup.call("PATCH", f"/{people[0]['id']}", {"email": "Mallory@Customer.example"})
    assert changed.json["pending_email"] == "mallory@customer.example"
    assert changed.json["email"] == "vera@other.example" and changed.json["status"] == "active"
    assert service.log_in("vera@other.example")["organization"]["name"] == "Other"
    service.accept("mallory@customer.example", "nine loud geese march")
    moved = setup.call("GET", f"/{people[0]['id']}").json
    assert moved["identity_id"] != people[0]["identity_id"]
    assert (
        service.log_in("mallory@customer.example", "nine loud geese march")["organization"]["name"]
        == "Acme Ltd"
    )
    assert service.log_in("vera@other.example")["organization"]["name"] == "Other"


def test_a_mistyped_invitation_can_be_put_right(setup):
    added = setup.add("mai@customer.example").json
    first = setup.service.link("mai@customer.example")
    setup.call("PATCH", f"/{added['id']}", {"email": "mia@customer.example"})
    assert setup.service.call("GET", f"/v1/verifications/{first}").status_code in (404, 410)
    setup.service.accept("mia@customer.example")
    setup.service.log_in("mia@customer.example")
    assert setup.call("PATCH", f"/{added['id']}", {"email": OLGA}).json["code"] == "member_exists"


def test_taking_a_login_away_and_giving_one(setup):
    service = setup.service
    member_id, token = setup.joined("mia@customer.example", "admin")
    taken = setup.call("PATCH", f"/{member_id}", {"portal_access": False})
    assert taken.status_code == 200 and len(taken.json["pin"]) == 6
    assert (
        taken.json["email"] is None
        and taken.json["role"] == "member"
        and taken.json["extension"] == "100"
    )
    assert service.is_revoked(token)
    assert setup.call("PATCH", f"/{member_id}", {"role": "admin"}).status_code == 422
    assert setup.call("PATCH", f"/{member_id}", {"portal_access": True}).status_code == 422
    given = setup.call(
        "PATCH",
        f"/{member_id}",
        {"portal_access": True, "role": "admin", "email": "mia@customer.example"},
    )
    assert (
        given.json["status"] == "pending"
        and given.json["role"] == "admin"
        and "pin" not in given.json
    )
    service.accept("mia@customer.example")
    service.log_in("mia@customer.example")


def test_a_patch_by_somebody_who_saw_something_else(setup):
    member_id = setup.add("mia@customer.example").json["id"]
    shown = setup.call("GET", f"/{member_id}")
    tag = shown.headers["ETag"]
    changed = setup.call("PATCH", f"/{member_id}", {"name": "New"}, headers={"If-Match": tag})
    assert changed.status_code == 200 and changed.headers["ETag"] != tag
    late = setup.call("PATCH", f"/{member_id}", {"name": "Late"}, headers={"If-Match": tag})
    assert late.status_code == 412
    assert setup.call("GET", f"/{member_id}").headers["ETag"] == changed.headers["ETag"]


def test_every_change_is_in_the_audit_with_what_changed_and_no_secret(setup):
    member_id, _ = setup.joined("mia@customer.example")
    setup.call("PATCH", f"/{member_id}", {"name": "Mia M", "role": "admin"})
    setup.call("POST", f"/{member_id}/disable")
    setup.call("POST", f"/{member_id}/enable")
    setup.call("DELETE", f"/{member_id}")
    rows = [
        m
        for m in setup.service.published(messages.AuditRecorded)
        if m.target.get("id") == member_id
    ]
    assert [m.action for m in rows] == [
        "invitation.sent",
        "member.added",
        "email.verified",
        "member.login",
        "member.updated",
        "member.disabled",
        "member.enabled",
        "member.removed",
    ]
    assert rows[4].changes == [
        {"field": "label", "before": None, "after": "Mia M"},
        {"field": "role", "before": "member", "after": "admin"},
    ]
    assert rows[4].actor["kind"] == "member" and rows[4].actor["label"] == "Olga Owner"
    assert rows[1].changes[-1] == {"field": "status", "before": None, "after": "pending"}
    assert rows[5].changes == [{"field": "status", "before": "active", "after": "disabled"}]
    assert "argon2" not in str(rows)
