"""API keys: made, shown once, exchanged, rotated, deleted; and what a program that has one may
do."""

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


class Place:
    """A customer and its provider, and keys of both."""

    def __init__(self, world):
        self.world = world
        self.staff = world.provider()
        self.provider_id = world.claims(self.staff)["org"]
        self.organization_id, self.owner = world.owner(provider_id=self.provider_id)

    def call(self, method, rest="", body=None, *, token=None):
        return self.world.call(method, f"/v1/api-keys{rest}", body, token=token or self.owner)

    def make(self, *scopes, token=None, **more):
        answer = self.call(
            "POST", "", {"name": "Sync", "scopes": scopes or ["members:read"]} | more, token=token
        )
        assert answer.status_code == 201, answer.text
        return answer.json

    def exchange(self, raw):
        return self.world.call("POST", "/v1/sessions", {"api_key": raw})

    def token(self, *scopes, token=None):
        return self.exchange(self.make(*scopes, token=token)["api_key"]).json["access_token"]

    def shown(self):
        return self.call("GET").json["data"]

    def audited(self):
        return [
            row
            for row in self.world.said(messages.AuditRecorded)
            if row.action.startswith("api_key.")
        ]


@pytest.fixture
def place(world):
    return Place(world)


def test_a_key_is_shown_once_and_kept_as_a_hash(place):
    made = place.make("members:read", "members:edit", "members:read")
    raw = made.pop("api_key")
    assert re.fullmatch(r"clk_[A-Za-z0-9_-]{43}", raw)
    assert made["scopes"] == ["members:edit", "members:read"] and made["created_by"] == {
        "name": "Olga Owner"
    }
    assert made["expires_at"] is None and made["last_used_at"] is None
    assert made["secrets"] == {"live": 1, "older_ends_at": None}
    assert place.shown() == [made]
    with place.world.database.reading() as session:
        [kept] = session.scalars(select(models.ApiKeySecret.digest)).all()
    assert kept == hashlib.sha256(raw.encode()).digest()
    [row] = place.audited()
    assert row.action == "api_key.created" and row.target == {
        "type": "api_key",
        "id": made["id"],
        "label": "Sync",
    }
    assert raw not in str(row)
    mail = place.world.post()[-1]
    assert mail["To"] == OLGA and mail["Subject"] == "A new API key was created for Acme Ltd"
    assert (
        "Sync" in mail.get_content()
        and "members:edit" in mail.get_content()
        and raw not in mail.get_content()
    )


def test_a_key_is_exchanged_for_a_token(place):
    made = place.make("members:read", "credits:read")
    answer = place.exchange(made["api_key"])
    assert answer.status_code == 201
    token = answer.json["access_token"]
    assert answer.json == {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": 300,
        "role": "api_key",
        "scopes": ["credits:read", "members:read"],
        "identity": {"id": made["id"], "email": None, "given_name": "Sync", "family_name": ""},
        "organization": {"id": place.organization_id, "name": "Acme Ltd", "kind": "customer"},
    }
    claims = place.world.claims(token)
    assert (
        claims["sub"] == claims["sid"] == made["id"]
        and claims["role"] == "api_key"
        and "mid" not in claims
    )
    assert claims["exp"] - claims["iat"] == 300


def test_its_use_is_noted_once_a_minute(place):
    raw = place.make()["api_key"]
    noted = []
    for _ in range(3):
        place.exchange(raw)
        noted.append(place.shown()[0]["last_used_at"])
        place.world.clock.pass_(seconds=31)
    assert noted[0] is not None and noted[0] == noted[1] < noted[2]


def test_whatever_is_no_key_is_refused_in_the_same_words(place):
    expires_at = clock.stamp(clock.now() + timedelta(hours=1))
    expired, deleted = place.make(expires_at=expires_at), place.make()
    assert place.exchange(expired["api_key"]).status_code == 201
    place.world.clock.pass_(hours=1)
    place.owner = place.world.log_in(OLGA)["access_token"]
    assert place.call("DELETE", f"/{deleted['id']}").status_code == 204
    tried = [expired["api_key"], deleted["api_key"], "clk_" + 43 * "A", "x", deleted["id"]]
    refused = [place.exchange(raw) for raw in tried]
    assert [a.status_code for a in refused] == [401] * 5
    assert {(a.json["code"], a.json["detail"]) for a in refused} == {
        ("invalid_credentials", actions.InvalidKey().detail)
    }
    again = place.call("POST", f"/{expired['id']}/rotate", {})
    assert again.status_code == 409 and again.json["code"] == "key_expired"


def test_a_token_ends_with_its_key(place):
    raw = place.make(expires_at=clock.stamp(clock.now() + timedelta(seconds=100)))["api_key"]
    assert 95 <= place.exchange(raw).json["expires_in"] <= 100


def test_a_key_comes_alone_and_a_person_with_a_password(place):
    raw, password = place.make()["api_key"], "four calm otters drift"
    for body, pointers in (
        ({}, {"/email", "/password"}),
        ({"email": OLGA}, {"/password"}),
        ({"password": password}, {"/email"}),
        ({"api_key": raw, "email": OLGA, "password": password}, {"/email", "/password"}),
        ({"api_key": raw, "organization_id": place.organization_id}, {"/organization_id"}),
        ({"api_key": raw, "otp": "123456"}, {"/otp"}),
        ({"api_key": ""}, {"/api_key"}),
        ({"api_key": None}, {"/api_key"}),
        ({"api_key": 1}, {"/api_key"}),
    ):
        answer = place.world.call("POST", "/v1/sessions", body)
        assert answer.status_code == 422, (body, answer.text)
        assert {e["pointer"] for e in answer.json["errors"]} == pointers, body


def test_where_an_organization_is_shut_its_keys_are_too(place):
    world, raw = place.world, place.make()["api_key"]
    world.hear(
        org.OrganizationSuspended(
            organization_id=place.organization_id, provider_id=place.provider_id
        )
    )
    refused = place.exchange(raw)
    assert refused.status_code == 403 and refused.json["code"] == "organization_suspended"
    assert place.exchange("clk_wrong").status_code == 401
    world.hear(
        org.RestoreAccess(
            organization_id=place.organization_id, conversation_id="c", suspended=False
        )
    )
    assert place.exchange(raw).status_code == 201
    world.hear(org.EndAccess(organization_id=place.organization_id, deletion_id="d"))
    assert place.exchange(raw).status_code == 403
    world.hear(org.EraseMembers(organization_id=place.organization_id, deletion_id="d"))
    assert place.exchange(raw).status_code == 401
    with world.database.reading() as session:
        assert (
            session.scalars(select(models.ApiKey)).all()
            == session.scalars(select(models.ApiKeySecret)).all()
            == []
        )


def test_what_cannot_be_a_key(place):
    past = clock.stamp(clock.now() - timedelta(seconds=1))
    for token, body, pointers in (
        (None, {"scopes": []}, {"/scopes"}),
        (None, {"scopes": "members:read"}, {"/scopes"}),
        (None, {"scopes": ["members:read", "usage:write", "nonsense"]}, {"/scopes/1", "/scopes/2"}),
        (None, {"scopes": ["members:role"]}, {"/scopes/0"}),
        (place.staff, {"scopes": ["login_as:act"]}, {"/scopes/0"}),
        (None, {"name": ""}, {"/name"}),
        (None, {"name": "x" * 101}, {"/name"}),
        (None, {"expires_at": past}, {"/expires_at"}),
        (None, {"expires_at": "tomorrow"}, {"/expires_at"}),
        (None, {"api_key": "clk_mine"}, {"/api_key"}),
    ):
        answer = place.call(
            "POST", "", {"name": "Sync", "scopes": ["members:read"]} | body, token=token
        )
        assert answer.status_code == 422, answer.text
        assert {e["pointer"] for e in answer.json["errors"]} == pointers, body
    assert place.shown() == []


def test_nobody_gives_a_key_what_they_lack(place, monkeypatch):
    monkeypatch.setitem(roles._SCOPES["customer"], "owner", ("members:read",))
    assert place.make("members:read")
    refused = place.call("POST", "", {"name": "Sync", "scopes": ["members:read", "members:edit"]})
    assert refused.status_code == 422
    assert refused.json["errors"] == [
        {
            "pointer": "/scopes/1",
            "code": "scope",
            "detail": "You cannot give an API key the scope members:edit.",
        }
    ]


def test_a_key_can_have_each_scope_that_some_operation_asks_for_and_no_other():
    tables = [
        importlib.import_module(f"{name}.guard").OPERATIONS.rows
        for name in ("org", "billing", "membership")
    ]
    for kind in ("provider", "customer"):
        assert roles.key_scopes(kind) == {
            row.scopes[kind] for t in tables for row in t.values() if kind in row.scopes
        }
        assert roles.key_scopes(kind) <= set(roles.scopes(kind, "owner"))


def test_fifty_keys_are_enough(place, monkeypatch):
    monkeypatch.setattr(actions, "MAX_KEYS", 3)
    first = place.make()

    def make(_):
        with place.world.app.test_client() as client:
            headers = {"Authorization": f"Bearer {place.owner}"}
            return client.post(
                "/v1/api-keys", json={"name": "S", "scopes": ["members:read"]}, headers=headers
            )

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(make, range(4)))
    assert sorted(a.status_code for a in answers) == [201, 201, 409, 409]
    assert {a.json["code"] for a in answers if a.status_code == 409} == {"key_limit"}
    place.call("DELETE", f"/{first['id']}")
    assert place.make()


def test_rotated_with_an_overlap_both_are_good_until_it_ends(place):
    made = place.make()
    turned = place.call("POST", f"/{made['id']}/rotate", {"overlap_minutes": 10})
    assert turned.status_code == 200 and turned.json["id"] == made["id"]
    assert (
        turned.json["secrets"]["live"] == 2 and turned.json["secrets"]["older_ends_at"] is not None
    )
    raws = [made["api_key"], turned.json["api_key"]]
    assert [place.exchange(raw).status_code for raw in raws] == [201, 201]
    [shown] = place.shown()
    assert shown["secrets"] == turned.json["secrets"] and not {*raws} & {*map(str, shown.values())}
    third = place.call("POST", f"/{made['id']}/rotate", {})
    assert third.status_code == 409 and third.json["code"] == "rotation_running"
    place.world.clock.pass_(minutes=9, seconds=50)
    place.owner = place.world.log_in(OLGA)["access_token"]
    assert place.exchange(raws[0]).json["expires_in"] <= 10
    place.world.clock.pass_(seconds=11)
    assert [place.exchange(raw).status_code for raw in raws] == [401, 201]
    assert place.shown()[0]["secrets"] == {"live": 1, "older_ends_at": None}
    assert place.call("POST", f"/{made['id']}/rotate", {}).status_code == 200
    assert [row.action for row in place.audited()] == [
        "api_key.created",
        "api_key.rotated",
        "api_key.rotated",
    ]
    assert not any(raw in str(place.audited()) for raw in raws)


def test_rotated_without_an_overlap_the_old_one_and_its_tokens_are_dead(place):
    made = place.make()
    place.call("POST", f"/{made['id']}/rotate", {})
    token = place.exchange(made["api_key"]).json["access_token"]
    turned = place.call("POST", f"/{made['id']}/rotate", {"overlap_minutes": 0})
    assert turned.json["secrets"] == {"live": 1, "older_ends_at": None}
    assert place.exchange(made["api_key"]).status_code == 401 and place.world.revoked(token)
    fresh = place.exchange(turned.json["api_key"])
    assert fresh.status_code == 201 and not place.world.revoked(fresh.json["access_token"])


def test_how_long_two_secrets_may_overlap(place):
    made = place.make()
    for minutes in (-1, 10_081, "60", 1.5, None):
        answer = place.call("POST", f"/{made['id']}/rotate", {"overlap_minutes": minutes})
        assert answer.status_code == 422, minutes
    assert (
        place.call("POST", f"/{made['id']}/rotate", {"overlap_minutes": 10_080}).status_code == 200
    )


def test_a_deleted_key_is_dead_at_once(place):
    made, other = place.make(), place.token("members:read")
    token = place.exchange(made["api_key"]).json["access_token"]
    assert place.call("DELETE", f"/{made['id']}").status_code == 204
    assert place.world.revoked(token) and not place.world.revoked(other)
    assert place.exchange(made["api_key"]).status_code == 401
    assert place.call("DELETE", f"/{made['id']}").status_code == 404
    assert place.call("POST", f"/{made['id']}/rotate", {}).status_code == 404
    assert made["id"] not in [key["id"] for key in place.shown()]
    assert (
        place.audited()[-1].action == "api_key.deleted"
        and place.audited()[-1].target["id"] == made["id"]
    )


def test_whose_keys_these_are(place):
    made = place.make()
    _, stranger = place.world.owner("sam@other.example", name="Other")
    for token in (stranger, place.staff):
        assert place.call("GET", token=token).json["data"] == []
        assert place.call("DELETE", f"/{made['id']}", token=token).status_code == 404
        assert place.call("POST", f"/{made['id']}/rotate", {}, token=token).status_code == 404
    for odd in ("key_x", place.organization_id, "x" * 200):
        assert place.call("DELETE", f"/{odd}").status_code == 404
    members = f"/v1/organizations/{place.organization_id}/members"
    body = {
        "name": "Adam",
        "portal_access": True,
        "role": "admin",
        "email": "adam@customer.example",
    }
    place.world.call("POST", members, body, token=place.owner)
    place.world.accept("adam@customer.example")
    admin = place.world.log_in("adam@customer.example")["access_token"]
    key = place.token(*roles.key_scopes("customer"))
    for token in (admin, key):
        for call in (
            ("GET",),
            ("POST", "", {"name": "S", "scopes": ["org:read"]}),
            ("DELETE", f"/{made['id']}"),
        ):
            assert place.call(*call, token=token).status_code == 403, call


def test_a_key_outlives_whoever_made_it(place):
    body = {"name": "Max", "portal_access": True, "role": "admin", "email": "max@provider.example"}
    members = f"/v1/organizations/{place.provider_id}/members"
    member = place.world.call("POST", members, body, token=place.staff).json
    place.world.accept("max@provider.example")
    manager = place.world.log_in("max@provider.example")["access_token"]
    raw = place.make("cust:read", token=manager)["api_key"]
    place.world.call("DELETE", f"{members}/{member['id']}", token=place.staff)
    assert place.exchange(raw).status_code == 201
    assert place.call("GET", token=place.staff).json["data"][0]["created_by"] == {"name": "Max"}


def test_a_key_does_what_its_scopes_say_where_it_belongs(place):
    stranger_id, _ = place.world.owner("sam@other.example", name="Other")

    def members(token, organization_id, method="GET", **body):
        path = f"/v1/organizations/{organization_id}/members"
        return place.world.call(method, path, body or None, token=token).status_code

    own = place.token("members:read")
    assert members(own, place.organization_id) == 200
    assert members(own, stranger_id) == members(own, place.provider_id) == 404
    newcomer = {"name": "AccessControl", "portal_access": False}
    assert members(own, place.organization_id, "POST", **newcomer) == 403
    assert members(place.token("members:invite"), place.organization_id, "POST", **newcomer) == 201
    assert members(place.token("members:edit"), place.organization_id) == 403
    staff = place.token("cust:read", "member:manage", token=place.staff)
    assert members(staff, place.organization_id) == 200 and members(staff, stranger_id) == 404
    assert members(staff, place.organization_id, "POST", **newcomer) == 201
    rows = [r for r in place.world.said(messages.AuditRecorded) if r.action == "member.added"]
    assert rows[-1].actor["kind"] == "api_key" and rows[-1].actor["label"] == "Sync"
    for path in ("/v1/me", "/v1/me/organizations", "/v1/sessions"):
        assert place.world.call("GET", path, token=staff).status_code == 403


def test_the_list_has_pages(place):
    made = [place.make()["id"] for _ in range(3)]
    first = place.call("GET", "?limit=2").json
    assert [key["id"] for key in first["data"]] == made[:0:-1] and first["has_more"]
    rest = place.call("GET", f"?limit=2&cursor={first['next_cursor']}").json
    assert [key["id"] for key in rest["data"]] == made[:1] and not rest["has_more"]


def test_no_program_makes_staff():
    home, customer = ids.new("org"), ids.new("org")
    program = Caller(
        sub="key_x", organization_id=home, kind="provider", role="api_key", sid="key_x"
    )

    assert guard.manageable_roles(program, home) == frozenset()
    assert guard.manageable_roles(program, customer) == {"admin", "member"}
