"""Members who are added, with a login or without."""

from contracts import membership as messages
from membership import models
from membership.actions import member_roles
from membership.actions import members as actions
from membership.values.pins import Pins


def test_adding_with_a_login_invites(setup):
    answer = setup.add("ann@customer.example", given_name="Ann", family_name="Lee")
    assert answer.status_code == 201
    assert set(answer.json) == {
        "id",
        "organization_id",
        "identity_id",
        "name",
        "given_name",
        "family_name",
        "label",
        "email",
        "pending_email",
        "role",
        "preset",
        "portal_access",
        "status",
        "verified",
        "extension",
        "invitation",
        "confirmed",
        "created_at",
        "mfa",
        "last_signed_in_at",
    }
    assert answer.json["status"] == "pending" and answer.json["verified"] is False
    assert "Acme Ltd has invited you" in setup.service.send_mails()[-1].get_content()
    setup.service.accept("ann@customer.example")
    shown = setup.call("GET", f"/{answer.json['id']}").json
    assert shown["status"] == "active" and shown["verified"] is True
    assert setup.service.published(messages.MembersChanged)[-1].members == 2


def test_the_identity_is_not_shown_before_the_member_has_joined(setup):
    setup.service.owner("vera@other.example", name="Other")
    member = setup.add("vera@other.example").json
    listed = setup.call("GET", "?q=vera").json["data"][0]
    renamed = setup.call("PATCH", f"/{member['id']}", {"name": "Vera"}).json
    disabled = setup.call("POST", f"/{member['id']}/disable").json
    shown = setup.call("GET", f"/{member['id']}").json
    assert [m["identity_id"] for m in (member, listed, renamed, disabled, shown)] == [None] * 5
    setup.call("POST", f"/{member['id']}/enable")
    setup.service.accept("vera@other.example")
    assert setup.call("GET", f"/{member['id']}").json["identity_id"].startswith("idn_")


def test_adding_without_a_login_shows_a_pin_this_once(setup):
    added = setup.call("POST", "", {"name": "Front desk", "portal_access": False})
    assert added.status_code == 201 and len(added.json["pin"]) == 6
    assert added.json["portal_access"] is False and added.json["status"] == "active"
    assert added.json["extension"] == "100" and added.json["email"] is None
    assert "pin" not in setup.call("GET", f"/{added.json['id']}").json
    assert "pin" not in str(setup.call("GET").json)
    with setup.service.database.reading() as session:
        kept = session.get_one(models.Member, added.json["id"]).pin_hash
    assert Pins(setup.service.app.extensions["hasher"], "a pepper").matches(kept, added.json["pin"])
    second = setup.call(
        "POST", "", {"given_name": "Back", "family_name": "AccessControl", "portal_access": False}
    )
    assert second.json["extension"] == "101" and second.json["name"] == "Back AccessControl"
    taken = setup.call("POST", "", {"name": "X", "portal_access": False, "extension": "101"})
    assert taken.status_code == 409 and taken.json["code"] == "extension_taken"


IMPOSSIBLE = [
    ({"portal_access": True, "name": "A", "role": "member"}, "/email"),
    ({"portal_access": True, "name": "A", "email": "a@b.example"}, "/role"),
    ({"portal_access": False, "name": "A", "email": "a@b.example"}, "/email"),
    ({"portal_access": False, "name": "A", "role": "member"}, "/role"),
    ({"portal_access": False}, "/name"),
    ({"portal_access": False, "given_name": "A"}, "/name"),
    ({"name": "A"}, "/portal_access"),
    ({"portal_access": "yes", "name": "A"}, "/portal_access"),
    ({"portal_access": True, "name": "A", "role": "owner", "email": "a@b.example"}, "/role"),
    ({"portal_access": True, "name": "A", "role": "member", "email": "nowhere"}, "/email"),
    ({"portal_access": False, "name": "A", "status": "active"}, "/status"),
    ({"portal_access": False, "name": "A", "preset": "manager"}, "/preset"),
    ({"portal_access": False, "name": " \t "}, "/name"),
]


def test_what_cannot_be_a_member(setup):
    for body, pointer in IMPOSSIBLE:
        answer = setup.call("POST", "", body)
        assert answer.status_code == 422, answer.text
        assert pointer in [e["pointer"] for e in answer.json["errors"]], body


def test_the_same_key_is_the_same_member(setup):
    body = {"name": "Ann", "portal_access": True, "role": "member", "email": "ann@customer.example"}
    first, again = (
        setup.call("POST", "", body, headers={"Idempotency-Key": "k1"}) for _ in range(2)
    )
    assert first.json == again.json and again.headers["Idempotent-Replayed"] == "true"
    refused = setup.call("POST", "", body, headers={"Idempotency-Key": "k2"})
    assert refused.status_code == 409 and refused.json["code"] == "member_exists"
    other = setup.call("POST", "", body | {"name": "Other"}, headers={"Idempotency-Key": "k1"})
    assert other.status_code == 422 and other.json["code"] == "idempotency_key_reused"


def test_limits(setup, monkeypatch):
    monkeypatch.setattr(actions, "MAX_MEMBERS", 3)
    monkeypatch.setattr(member_roles, "MAX_ADMINS", 1)
    assert setup.add("a@customer.example", "admin").status_code == 201
    assert setup.add("b@customer.example", "admin").json["code"] == "admin_limit"
    member_id = setup.add("b@customer.example").json["id"]
    assert setup.add("c@customer.example").json["code"] == "member_limit"
    assert setup.call("PATCH", f"/{member_id}", {"role": "admin"}).json["code"] == "admin_limit"
    setup.call("POST", f"/{member_id}/disable")
    assert setup.add("c@customer.example").json["code"] == "member_limit"
