"""API keys: create, exchange, rotate, delete, and what a program with one may do."""

import hashlib
import importlib
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from chassis.auth.callers import Caller
from chassis.runtime import clock, ids
from contracts import membership as messages
from contracts import org
from membership import guard, models
from membership.actions import keys as actions
from membership.values import roles
from sqlalchemy import select

OLGA = "olga@customer.example"


class Setup:
    """A customer and its provider, and keys of both."""

    def __init__(self, service):
        self.service = service
        self.staff = service.provider()
        self.provider_id = service.claims(self.staff)["org"]
        self.organization_id, self.owner = service.owner(provider_id=self.provider_id)

    def call(self, method, rest="", body=None, *, token=None):
        return self.service.call(method, f"/v1/api-keys{rest}", body, token=token or self.owner)

    def make(self, *scopes, token=None, **more):
        answer = self.call(
            "POST", "", {"name": "Sync", "scopes": scopes or ["members:read"]} | more, token=token
        )
        assert answer.status_code == 201, answer.text
        return answer.json

    def exchange(self, raw):
        return self.service.call("POST", "/v1/sessions", {"api_key": raw})

    def token(self, *scopes, token=None):
        return self.exchange(self.make(*scopes, token=token)["api_key"]).json["access_token"]

    def shown(self):
        return self.call("GET").json["data"]

    def audited(self):
        return [
            row
            for row in self.service.published(messages.AuditRecorded)
            if row.action.startswith("api_key.")
        ]


@pytest.fixture
def setup(service):
    return service.prepared("keys", lambda: Setup(service))


def test_a_key_is_shown_once_and_stored_as_a_hash(setup):
    made = setup.make("members:read", "members:edit", "members:read")
    raw = made.pop("api_key")
    assert re.fullmatch(r"clk_[A-Za-z0-9_-]{43}", raw)
    assert made["scopes"] == ["members:edit", "members:read"] and made["created_by"] == {
        "name": "Olga Owner"
    }
    assert made["last_used_at"] is None
    assert made["secrets"] == {"live": 1, "older_ends_at": None}
    assert setup.shown() == [made]
    with setup.service.database.reading() as session:
        [kept] = session.scalars(select(models.ApiKeySecret.digest)).all()
    assert kept == hashlib.sha256(raw.encode()).digest()
    [row] = setup.audited()
    assert row.action == "api_key.created" and row.target == {
        "type": "api_key",
        "id": made["id"],
        "label": "Sync",
    }
    assert raw not in str(row)
    mail = setup.service.send_mails()[-1]
    assert mail["To"] == OLGA and mail["Subject"] == "A new API key was created for Acme Ltd"
    assert (
        "Sync" in mail.get_content()
        and "members:edit" in mail.get_content()
        and raw not in mail.get_content()
    )


def test_a_key_is_exchanged_for_a_token(setup):
    made = setup.make("members:read", "credits:read")
    answer = setup.exchange(made["api_key"])
    assert answer.status_code == 201
    token = answer.json["access_token"]
    assert answer.json == {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": 300,
        "role": "api_key",
        "scopes": ["credits:read", "members:read"],
        "identity": {"id": made["id"], "email": None, "given_name": "Sync", "family_name": ""},
        "organization": {"id": setup.organization_id, "name": "Acme Ltd", "kind": "customer"},
    }
    claims = setup.service.claims(token)
    assert (
        claims["sub"] == claims["sid"] == made["id"]
        and claims["role"] == "api_key"
        and "mid" not in claims
    )
    assert claims["exp"] - claims["iat"] == 300


def test_its_last_use_is_shown(setup):
    raw = setup.make()["api_key"]
    noted = []
    for _ in range(2):
        setup.exchange(raw)
        noted.append(setup.shown()[0]["last_used_at"])
        setup.service.clock.advance(seconds=31)
    assert noted[0] is not None and noted[0] < noted[1]


def test_every_invalid_key_gets_the_same_error(setup):
    expires_at = clock.stamp(clock.now() + timedelta(hours=1))
    expired, deleted = setup.make(expires_at=expires_at), setup.make()
    assert setup.exchange(expired["api_key"]).status_code == 201
    setup.service.clock.advance(hours=1)
    setup.owner = setup.service.log_in(OLGA)["access_token"]
    assert setup.call("DELETE", f"/{deleted['id']}").status_code == 204
    tried = [expired["api_key"], deleted["api_key"], "clk_" + 43 * "A", "x", deleted["id"]]
    refused = [setup.exchange(raw) for raw in tried]
    assert [a.status_code for a in refused] == [401] * 5
    assert {(a.json["code"], a.json["detail"]) for a in refused} == {
        ("invalid_credentials", actions.InvalidKey().detail)
    }
    again = setup.call("POST", f"/{expired['id']}/rotate", {})
    assert again.status_code == 409 and again.json["code"] == "key_expired"


def test_a_token_ends_with_its_key(setup):
    raw = setup.make(expires_at=clock.stamp(clock.now() + timedelta(seconds=100)))["api_key"]
    assert 95 <= setup.exchange(raw).json["expires_in"] <= 100


def test_a_key_is_sent_alone_and_an_address_with_a_password(setup):
    raw, password = setup.make()["api_key"], "four calm otters drift"
    for body, pointers in (
        ({}, {"/email", "/password"}),
        ({"email": OLGA}, {"/password"}),
        ({"password": password}, {"/email"}),
        ({"api_key": raw, "email": OLGA, "password": password}, {"/email", "/password"}),
        ({"api_key": raw, "organization_id": setup.organization_id}, {"/organization_id"}),
        ({"api_key": raw, "otp": "123456"}, {"/otp"}),
        ({"api_key": ""}, {"/api_key"}),
        ({"api_key": None}, {"/api_key"}),
        ({"api_key": 1}, {"/api_key"}),
    ):
        answer = setup.service.call("POST", "/v1/sessions", body)
        assert answer.status_code == 422, (body, answer.text)
        assert {e["pointer"] for e in answer.json["errors"]} == pointers, body


def test_keys_do_not_work_while_the_organization_is_suspended(setup):
    service, raw = setup.service, setup.make()["api_key"]
    service.receive(
        org.OrganizationSuspended(
            organization_id=setup.organization_id, provider_id=setup.provider_id
        )
    )
    refused = setup.exchange(raw)
    assert refused.status_code == 403 and refused.json["code"] == "organization_suspended"
    assert setup.exchange("clk_wrong").status_code == 401
    service.receive(
        org.RestoreAccess(
            organization_id=setup.organization_id, conversation_id="c", suspended=False
        )
    )
    assert setup.exchange(raw).status_code == 201
    service.receive(org.EndAccess(organization_id=setup.organization_id, deletion_id="d"))
    assert setup.exchange(raw).status_code == 403
    service.receive(org.EraseMembers(organization_id=setup.organization_id, deletion_id="d"))
    assert setup.exchange(raw).status_code == 401
    with service.database.reading() as session:
        assert (
            session.scalars(select(models.ApiKey)).all()
            == session.scalars(select(models.ApiKeySecret)).all()
            == []
        )


def test_what_cannot_be_a_key(setup):
    past = clock.stamp(clock.now() - timedelta(seconds=1))
    for token, body, pointers in (
        (None, {"scopes": []}, {"/scopes"}),
        (None, {"scopes": "members:read"}, {"/scopes"}),
        (None, {"scopes": ["members:read", "usage:write", "nonsense"]}, {"/scopes/1", "/scopes/2"}),
        (None, {"scopes": ["members:role"]}, {"/scopes/0"}),
        (setup.staff, {"scopes": ["login_as:act"]}, {"/scopes/0"}),
        (None, {"name": ""}, {"/name"}),
        (None, {"name": "x" * 101}, {"/name"}),
        (None, {"expires_at": past}, {"/expires_at"}),
        (None, {"expires_at": "tomorrow"}, {"/expires_at"}),
        (None, {"api_key": "clk_mine"}, {"/api_key"}),
    ):
        answer = setup.call(
            "POST", "", {"name": "Sync", "scopes": ["members:read"]} | body, token=token
        )
        assert answer.status_code == 422, answer.text
        assert {e["pointer"] for e in answer.json["errors"]} == pointers, body
    assert setup.shown() == []


def test_nobody_can_give_a_key_a_scope_they_lack(setup, monkeypatch):
    monkeypatch.setitem(roles._SCOPES["customer"], "owner", ("members:read",))
    assert setup.make("members:read")
    refused = setup.call("POST", "", {"name": "Sync", "scopes": ["members:read", "members:edit"]})
    assert refused.status_code == 422
    assert refused.json["errors"] == [
        {
            "pointer": "/scopes/1",
            "code": "scope",
            "detail": "You cannot give an API key the scope members:edit.",
        }
    ]


def test_a_key_can_have_exactly_the_scopes_that_operations_require():
    tables = [
        importlib.import_module(f"{name}.guard").OPERATIONS.rows
        for name in ("org", "billing", "membership")
    ]
    for kind in ("provider", "customer"):
        assert roles.key_scopes(kind) == {
            row.scopes[kind] for t in tables for row in t.values() if kind in row.scopes
        }
        assert roles.key_scopes(kind) <= set(roles.scopes(kind, "owner"))


def test_at_most_fifty_keys(setup, monkeypatch):
    monkeypatch.setattr(actions, "MAX_KEYS", 3)
    first = setup.make()

    def make(_):
        with setup.service.app.test_client() as client:
            headers = {"Authorization": f"Bearer {setup.owner}"}
            return client.post(
                "/v1/api-keys", json={"name": "S", "scopes": ["members:read"]}, headers=headers
            )

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(make, range(4)))
    assert sorted(a.status_code for a in answers) == [201, 201, 409, 409]
    assert {a.json["code"] for a in answers if a.status_code == 409} == {"key_limit"}
    setup.call("DELETE", f"/{first['id']}")
    assert setup.make()


def test_expired_keys_do_not_fill_the_limit(setup, monkeypatch):
    monkeypatch.setattr(actions, "MAX_KEYS", 2)
    expires_at = clock.stamp(clock.now() + timedelta(minutes=1))
    for _ in range(2):
        setup.make(expires_at=expires_at)
    setup.service.clock.advance(minutes=2)

    assert setup.make() and setup.make(expires_at=None)
    assert len(setup.call("GET", "").json["data"]) == 4
    body = {"name": "S", "scopes": ["members:read"]}
    refused = setup.call("POST", "", body)
    assert (refused.status_code, refused.json["code"]) == (409, "key_limit")


def test_after_a_rotation_both_secrets_work_until_the_overlap_ends(setup):
    made = setup.make()
    turned = setup.call("POST", f"/{made['id']}/rotate", {"overlap_minutes": 10})
    assert turned.status_code == 200 and turned.json["id"] == made["id"]
    assert (
        turned.json["secrets"]["live"] == 2 and turned.json["secrets"]["older_ends_at"] is not None
    )
    raws = [made["api_key"], turned.json["api_key"]]
    assert [setup.exchange(raw).status_code for raw in raws] == [201, 201]
    [shown] = setup.shown()
    assert shown["secrets"] == turned.json["secrets"] and not {*raws} & {*map(str, shown.values())}
    third = setup.call("POST", f"/{made['id']}/rotate", {})
    assert third.status_code == 409 and third.json["code"] == "rotation_running"
    setup.service.clock.advance(minutes=9, seconds=50)
    setup.owner = setup.service.log_in(OLGA)["access_token"]
    assert setup.exchange(raws[0]).json["expires_in"] <= 10
    setup.service.clock.advance(seconds=11)
    assert [setup.exchange(raw).status_code for raw in raws] == [401, 201]
    assert setup.shown()[0]["secrets"] == {"live": 1, "older_ends_at": None}
    assert setup.call("POST", f"/{made['id']}/rotate", {}).status_code == 200
    assert [row.action for row in setup.audited()] == [
        "api_key.created",
        "api_key.rotated",
        "api_key.rotated",
    ]
    assert not any(raw in str(setup.audited()) for raw in raws)


def test_a_rotation_without_overlap_ends_the_old_secret_and_its_tokens(setup):
    made = setup.make()
    setup.call("POST", f"/{made['id']}/rotate", {})
    token = setup.exchange(made["api_key"]).json["access_token"]
    turned = setup.call("POST", f"/{made['id']}/rotate", {"overlap_minutes": 0})
    assert turned.json["secrets"] == {"live": 1, "older_ends_at": None}
    assert setup.exchange(made["api_key"]).status_code == 401 and setup.service.is_revoked(token)
    fresh = setup.exchange(turned.json["api_key"])
    assert fresh.status_code == 201 and not setup.service.is_revoked(fresh.json["access_token"])


def test_how_long_two_secrets_may_overlap(setup):
    made = setup.make()
    for minutes in (-1, 10_081, "60", 1.5, None):
        answer = setup.call("POST", f"/{made['id']}/rotate", {"overlap_minutes": minutes})
        assert answer.status_code == 422, minutes
    assert (
        setup.call("POST", f"/{made['id']}/rotate", {"overlap_minutes": 10_080}).status_code == 200
    )


def test_a_deleted_key_stops_working_at_once(setup):
    made, other = setup.make(), setup.token("members:read")
    token = setup.exchange(made["api_key"]).json["access_token"]
    assert setup.call("DELETE", f"/{made['id']}").status_code == 204
    assert setup.service.is_revoked(token) and not setup.service.is_revoked(other)
    assert setup.exchange(made["api_key"]).status_code == 401
    assert setup.call("DELETE", f"/{made['id']}").status_code == 404
    assert setup.call("POST", f"/{made['id']}/rotate", {}).status_code == 404
    assert made["id"] not in [key["id"] for key in setup.shown()]
    assert (
        setup.audited()[-1].action == "api_key.deleted"
        and setup.audited()[-1].target["id"] == made["id"]
    )


def test_keys_of_other_organizations_do_not_exist(setup):
    made = setup.make()
    _, stranger = setup.service.owner("sam@other.example", name="Other")
    for token in (stranger, setup.staff):
        assert setup.call("GET", token=token).json["data"] == []
        assert setup.call("DELETE", f"/{made['id']}", token=token).status_code == 404
        assert setup.call("POST", f"/{made['id']}/rotate", {}, token=token).status_code == 404
    for odd in ("key_x", setup.organization_id, "x" * 200):
        assert setup.call("DELETE", f"/{odd}").status_code == 404
    members = f"/v1/organizations/{setup.organization_id}/members"
    body = {
        "name": "Adam",
        "portal_access": True,
        "role": "admin",
        "email": "adam@customer.example",
    }
    setup.service.call("POST", members, body, token=setup.owner)
    setup.service.accept("adam@customer.example")
    admin = setup.service.log_in("adam@customer.example")["access_token"]
    key = setup.token(*roles.key_scopes("customer"))
    for token in (admin, key):
        for call in (
            ("GET",),
            ("POST", "", {"name": "S", "scopes": ["org:read"]}),
            ("DELETE", f"/{made['id']}"),
        ):
            assert setup.call(*call, token=token).status_code == 403, call


def test_a_key_does_what_its_scopes_allow_in_its_organization(setup):
    stranger_id, _ = setup.service.owner("sam@other.example", name="Other")

    def members(token, organization_id, method="GET", **body):
        path = f"/v1/organizations/{organization_id}/members"
        return setup.service.call(method, path, body or None, token=token).status_code

    own = setup.token("members:read")
    assert members(own, setup.organization_id) == 200
    assert members(own, stranger_id) == members(own, setup.provider_id) == 404
    newcomer = {"name": "AccessControl", "portal_access": False}
    assert members(own, setup.organization_id, "POST", **newcomer) == 403
    assert members(setup.token("members:invite"), setup.organization_id, "POST", **newcomer) == 201
    assert members(setup.token("members:edit"), setup.organization_id) == 403
    staff = setup.token("cust:read", "member:manage", token=setup.staff)
    assert members(staff, setup.organization_id) == 200 and members(staff, stranger_id) == 404
    assert members(staff, setup.organization_id, "POST", **newcomer) == 201
    rows = [
        r for r in setup.service.published(messages.AuditRecorded) if r.action == "member.added"
    ]
    assert rows[-1].actor["kind"] == "api_key" and rows[-1].actor["label"] == "Sync"
    for path in ("/v1/me", "/v1/me/organizations", "/v1/sessions"):
        assert setup.service.call("GET", path, token=staff).status_code == 403


def test_the_list_has_pages(setup):
    made = [setup.make()["id"] for _ in range(3)]
    first = setup.call("GET", "?limit=2").json
    assert [key["id"] for key in first["data"]] == made[:0:-1] and first["has_more"]
    rest = setup.call("GET", f"?limit=2&cursor={first['next_cursor']}").json
    assert [key["id"] for key in rest["data"]] == made[:1] and not rest["has_more"]


def test_keys_cannot_create_staff():
    home, customer = ids.new("org"), ids.new("org")
    program = Caller(
        sub="key_x", organization_id=home, kind="provider", role="api_key", sid="key_x"
    )

    assert guard.authority(program, home).ranks == frozenset()
    assert guard.authority(program, customer).ranks == {"admin", "member"}
