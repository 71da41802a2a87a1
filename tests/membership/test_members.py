"""Members of an organization: who may do what to whom."""

import itertools

import pytest
from chassis.runtime import ids
from contracts import membership as messages
from contracts import org
from membership import guard, models
from membership.actions import member_roles
from membership.actions import members as actions
from membership.values.pins import Pins
from sqlalchemy import select, update

OLGA = "olga@customer.example"
PASSWORD = "four calm otters drift"


class Setup:
    """A customer with an owner, an admin and a member, and its provider with staff of each role."""

    def __init__(self, service):
        self.service = service
        self.staff = service.provider()
        self.provider_id = service.claims(self.staff)["org"]
        self.organization_id, self.owner = service.owner(provider_id=self.provider_id)

    def path(self, rest="", organization_id=None):
        return f"/v1/organizations/{organization_id or self.organization_id}/members{rest}"

    def call(self, method, rest="", body=None, *, token=None, organization_id=None, **kwargs):
        return self.service.call(
            method, self.path(rest, organization_id), body, token=token or self.owner, **kwargs
        )

    def add(self, address, role="member", *, organization_id=None, token=None, **more):
        body = {
            "name": address.partition("@")[0].title(),
            "portal_access": True,
            "role": role,
            "email": address,
        }
        return self.call("POST", "", body | more, token=token, organization_id=organization_id)

    def joined(self, address, role="member", **more):
        """Add a member who is logged in; returns their id and token."""
        token = self.staff if "organization_id" in more else None
        member = self.add(address, role, token=token, **more).json
        self.service.accept(address)
        return member["id"], self.service.log_in(address)["access_token"]


@pytest.fixture
def setup(service):
    return service.prepared("members", lambda: Setup(service))


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


def test_the_list(setup):
    for name in ("Zoë", "ann", "Bob"):
        setup.call("POST", "", {"name": name, "portal_access": False})
    setup.add("ann.lee@customer.example", "admin", name="Ann Lee")

    def names(query=""):
        answer = setup.call("GET", f"?{query}")
        assert answer.status_code == 200, answer.text
        return [m["name"] for m in answer.json["data"]]

    assert names() == ["ann", "Ann Lee", "Bob", "Olga Owner", "Zoë"]
    assert (
        names("q=ANN") == ["ann", "Ann Lee"] and names("q=zOË") == ["Zoë"] and names("q=%25") == []
    )
    assert names("q=lee@") == ["Ann Lee"] and names("role=admin") == ["Ann Lee"]
    assert names("portal_access=false") == ["ann", "Bob", "Zoë"] and names("status=pending") == [
        "Ann Lee"
    ]
    seen, cursor = [], ""
    while True:
        page = setup.call("GET", f"?limit=2{cursor}").json
        seen += [m["name"] for m in page["data"]]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == names()
    assert setup.call("GET", f"?limit=2&role=member{cursor}").status_code == 422
    for bad in (
        "limit=0",
        "limit=x",
        "role=king",
        "status=gone",
        "portal_access=perhaps",
        "sort=name",
    ):
        assert setup.call("GET", f"?{bad}").status_code == 422


def test_another_tenants_people_do_not_exist(setup):
    other_id, other = setup.service.owner(
        "sam@other.example", name="Other", provider_id=ids.new("org")
    )
    stranger = setup.service.call("GET", f"/v1/organizations/{other_id}/members", token=other).json[
        "data"
    ][0]["id"]
    for token in (setup.owner, setup.staff):
        assert setup.call("GET", "", token=token, organization_id=other_id).status_code == 404
        assert setup.call("POST", "", {}, token=token, organization_id=other_id).status_code == 404
    for bad in (stranger, "mem_x", ids.new("mem"), ids.new("org"), "x" * 300):
        for method, rest in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/disable"),
            ("POST", "/enable"),
        ):
            body = {} if method == "PATCH" else None
            assert setup.call(method, f"/{bad}{rest}", body).status_code == 404


def test_every_cell_of_the_table(setup):
    """Each operation by each role is refused with 403 exactly where the table has no x."""
    service = setup.service
    callers = {("provider", "owner"): setup.staff, ("customer", "owner"): setup.owner}
    for preset in ("viewer", "support", "billing", "manager"):
        callers["provider", preset] = setup.joined(
            f"{preset}@provider.example", organization_id=setup.provider_id, preset=preset
        )[1]
    for role in ("admin", "member"):
        callers["customer", role] = setup.joined(f"{role}@customer.example", role)[1]
    target = setup.add("target@customer.example").json["id"]
    routes = {
        "member.list": ("GET", ""),
        "member.read": ("GET", f"/{target}"),
        "member.add": ("POST", ""),
        "member.update": ("PATCH", f"/{target}"),
        "member.disable": ("POST", f"/{target}/disable"),
        "member.enable": ("POST", f"/{target}/enable"),
        "member.remove": ("DELETE", f"/{ids.new('mem')}"),
        "member.resend": ("POST", f"/{ids.new('mem')}/resend-verification"),
        "member.reset_password": ("POST", f"/{ids.new('mem')}/reset-password"),
    }
    for (operation, (method, rest)), ((kind, role), token) in itertools.product(
        routes.items(), callers.items()
    ):
        allowed = guard.OPERATIONS.allows(operation, kind=kind, role=role, acting=False)
        body = (
            {"nonsense": 1}
            if method in ("POST", "PATCH") and operation in ("member.add", "member.update")
            else None
        )
        status = setup.call(method, rest, body, token=token).status_code
        assert (status == 403) is not allowed, (operation, kind, role, status)
    denied = [m for m in service.published(messages.AuditRecorded) if m.outcome == "denied"]
    assert denied and {m.reason for m in denied} == {"forbidden"}


def test_an_admin_reaches_members_only(setup):
    _, admin = setup.joined("adam@customer.example", "admin")
    other_id, _ = setup.joined("alma@customer.example", "admin")
    member_id, _ = setup.joined("mia@customer.example")
    owner_id = setup.service.claims(setup.owner)["mid"]
    for target in (other_id, owner_id):
        assert setup.call("PATCH", f"/{target}", {"name": "X"}, token=admin).status_code == 403
        assert setup.call("POST", f"/{target}/disable", token=admin).status_code == 403
        assert setup.call("DELETE", f"/{target}", token=admin).status_code == 403
    assert setup.call("PATCH", f"/{member_id}", {"role": "admin"}, token=admin).status_code == 403
    assert setup.add("new@customer.example", "admin", token=admin).status_code == 403
    assert setup.add("new@customer.example", "member", token=admin).status_code == 201
    assert setup.call("PATCH", f"/{member_id}", {"name": "X"}, token=admin).json["label"] == "X"


def test_staff_cannot_raise_themselves(setup):
    support_id, support = setup.joined(
        "sue@provider.example", organization_id=setup.provider_id, preset="support"
    )
    manager_id, manager = setup.joined(
        "max@provider.example", organization_id=setup.provider_id, preset="manager"
    )
    at_home = {"organization_id": setup.provider_id}
    raised = {"preset": "manager"}
    assert (
        setup.call("PATCH", f"/{support_id}", raised, token=support, **at_home).status_code == 403
    )
    assert (
        setup.add("pal@provider.example", token=support, **at_home, preset="manager").status_code
        == 403
    )
    assert setup.add("pal@provider.example", token=support, **at_home).status_code == 403
    assert (
        setup.call("PATCH", f"/{support_id}", raised, token=manager, **at_home).status_code == 403
    )
    assert setup.add("pal@provider.example", "admin", token=manager, **at_home).status_code == 403
    assert (
        setup.add("pal@provider.example", token=manager, **at_home, preset="billing").status_code
        == 201
    )
    assert setup.add("boss@customer.example", token=support).status_code == 201
    assert setup.add("lead@customer.example", "admin", token=support).status_code == 403
    assert setup.add("lead@customer.example", "admin", token=manager).status_code == 201
    owner_id = setup.service.claims(setup.owner)["mid"]
    assert (
        setup.call(
            "PATCH", f"/{owner_id}", {"email": "evil@customer.example"}, token=support
        ).status_code
        == 403
    )
    assert manager_id


def test_what_is_out_of_reach_is_in_the_audit_once(setup):
    admin_id, admin = setup.joined("ada@customer.example", "admin")
    member_id, _ = setup.joined("mo@customer.example")

    refused = setup.call("PATCH", f"/{member_id}", {"role": "admin"}, token=admin)

    assert refused.status_code == 403
    (row,) = [
        row for row in setup.service.published(messages.AuditRecorded) if row.outcome == "denied"
    ]
    assert (row.action, row.actor["id"]) == ("member.update", setup.service.claims(admin)["sub"])
    assert admin_id


def test_the_providers_admins_are_managers(setup):
    at_home = {"organization_id": setup.provider_id, "token": setup.staff}
    viewer_id, _ = setup.joined(
        "vi@provider.example", organization_id=setup.provider_id, preset="viewer"
    )

    refused = setup.add("pal@provider.example", "admin", **at_home, preset="viewer")
    raised = setup.call("PATCH", f"/{viewer_id}", {"role": "admin"}, **at_home)

    assert refused.status_code == 422 and refused.json["errors"][0]["code"] == "manager_only"
    assert (raised.status_code, raised.json["preset"]) == (200, None)


def test_the_owner_must_transfer_first(setup):
    owner_id = setup.service.claims(setup.owner)["mid"]
    for token in (setup.owner, setup.staff):
        for method, rest, body in (
            ("PATCH", "", {"role": "member"}),
            ("PATCH", "", {"role": "admin"}),
            ("PATCH", "", {"portal_access": False}),
            ("POST", "/disable", None),
            ("DELETE", "", None),
        ):
            answer = setup.call(method, f"/{owner_id}{rest}", body, token=token)
            assert (answer.status_code, answer.json["code"]) == (409, "owner_must_transfer"), (
                rest,
                body,
            )


def test_disabling_ends_sessions_and_enabling_revives_none(setup):
    service = setup.service
    member_id, token = setup.joined("mia@customer.example")
    disabled = setup.call("POST", f"/{member_id}/disable")
    assert disabled.status_code == 200 and disabled.json["status"] == "disabled"
    assert service.is_revoked(token) and not service.is_revoked(setup.owner)
    refused = service.call(
        "POST", "/v1/sessions", {"email": "mia@customer.example", "password": PASSWORD}
    )
    assert refused.status_code == 403 and refused.json["code"] == "member_disabled"
    assert setup.call("POST", f"/{member_id}/disable").status_code == 200
    assert setup.call("POST", f"/{member_id}/enable").json["status"] == "active"
    assert service.is_revoked(token)
    assert not service.is_revoked(service.log_in("mia@customer.example")["access_token"])


def test_removing(setup):
    service = setup.service
    member_id, token = setup.joined("mia@customer.example")
    assert setup.call("DELETE", f"/{member_id}").status_code == 204
    assert service.is_revoked(token)
    assert setup.call("DELETE", f"/{member_id}").status_code == 404
    login = {"email": "mia@customer.example", "password": PASSWORD}
    assert service.call("POST", "/v1/sessions", login).status_code == 401
    assert service.published(messages.MembersChanged)[-1].members == 1
    setup.joined("mia@customer.example")


def test_a_new_role_makes_tokens_with_the_old_one_worthless(setup):
    service = setup.service
    member_id, token = setup.joined("adam@customer.example", "admin")
    refresh = service.log_in("adam@customer.example")["refresh_token"]
    assert setup.call("PATCH", f"/{member_id}", {"role": "member"}).json["role"] == "member"
    assert service.is_revoked(token)
    renewed = service.call("POST", "/v1/sessions/refresh", {"refresh_token": refresh})
    assert renewed.json["role"] == "member" and not service.is_revoked(renewed.json["access_token"])


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


def test_nobody_is_changed_while_the_organization_is_set_up_or_goes(setup):
    service = setup.service
    member_id = setup.add("mia@customer.example").json["id"]
    with service.database.transaction() as session:
        session.execute(
            update(models.Organization)
            .where(models.Organization.id == setup.organization_id)
            .values(state="provisioning")
        )
    assert (
        setup.add("x@customer.example", token=setup.staff).json["code"]
        == "organization_provisioning"
    )
    service.receive(org.EndAccess(organization_id=setup.organization_id, deletion_id="d"))
    for method, rest, body in (
        ("PATCH", "", {"name": "X"}),
        ("POST", "/disable", None),
        ("DELETE", "", None),
    ):
        answer = setup.call(method, f"/{member_id}{rest}", body, token=setup.staff)
        assert (answer.status_code, answer.json["code"]) == (409, "organization_closing")
    assert setup.call("GET", "", token=setup.staff).status_code == 200
    service.receive(org.EraseMembers(organization_id=setup.organization_id, deletion_id="d"))
    assert setup.call("GET", "", token=setup.staff).json["data"] == []
    assert setup.add("x@customer.example", token=setup.staff).status_code == 410


def test_suspended_members_can_be_changed_but_mails_wait(setup):
    service = setup.service
    service.send_mails()
    service.receive(
        org.OrganizationSuspended(
            organization_id=setup.organization_id, provider_id=setup.provider_id
        )
    )
    assert setup.add("mia@customer.example", token=setup.staff).status_code == 201
    sent = len(service.send_mails())
    service.receive(
        org.RestoreAccess(
            organization_id=setup.organization_id, conversation_id="c", suspended=False
        )
    )
    assert len(service.send_mails()) == sent + 1
    service.accept("mia@customer.example")


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


def test_numbers_told_to_others_are_right_after_any_change(setup):
    service = setup.service
    setup.joined("adam@customer.example", "admin")
    member_id = setup.add("mia@customer.example").json["id"]
    setup.call("POST", f"/{member_id}/disable")
    published = service.published(messages.MembersChanged)[-1]
    assert (published.members, published.admins) == (3, 1)
    owner_id = service.claims(setup.owner)["mid"]
    setup.call("PATCH", f"/{owner_id}", {"given_name": "Olga Maria"})
    assert service.published(messages.MembersChanged)[-1].owner.given_name == "Olga Maria"
    with service.database.reading() as session:
        rows = session.scalars(
            select(models.Member).where(models.Member.organization_id == published.organization_id)
        ).all()
    assert len(rows) == 3
