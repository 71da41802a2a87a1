"""Which tokens are accepted, and until when. (Forged tokens: tests/identity/test_forgeries.py.)"""

import time
from typing import Any

import pytest
from gateway.guard import Revocations
from gateway.guard.revocations import RETENTION

from tests.gateway.conftest import Build, World
from tests.gateway.fakes import ORG, bearer, claims
from tests.waiting import until


def test_a_valid_token_is_accepted_and_forwarded(world: World) -> None:
    given = bearer()
    assert world.client.get("/v1/me", headers=given).status_code == 200
    assert world.membership.seen[0].headers["AUTHORIZATION"] == given["Authorization"]


OPEN = [
    ("POST", "/v1/sessions"),
    ("POST", "/v1/sessions/refresh"),
    ("GET", "/v1/verifications/x"),
    ("POST", "/v1/verifications/x"),
    ("POST", "/v1/password-resets"),
    ("POST", "/v1/password-resets/x"),
    ("GET", "/.well-known/jwks.json"),
]
CLOSED = [
    ("GET", "/v1/sessions"),
    ("DELETE", "/v1/sessions/current"),
    ("POST", "/v1/sessions/exchange"),
    ("GET", "/v1/sessions/refresh"),
    ("POST", "/v1/sessions/ses_1"),
    ("POST", "/v1/pins/verify"),
    ("POST", "/v1/usage"),
    ("GET", f"/v1/organizations/{ORG}"),
    ("GET", "/v1/me"),
    ("GET", "/v1/api-keys"),
]


@pytest.mark.parametrize(("method", "path"), OPEN)
def test_these_need_no_token_and_none_is_forwarded(world: World, method: str, path: str) -> None:
    assert (
        world.client.open(path, method=method, headers={"Authorization": "Basic eA=="}).status_code
        == 200
    )
    assert "AUTHORIZATION" not in world.membership.seen[0].headers


def test_a_mailed_link_is_opened_with_a_valid_token_and_without_a_revoked_one(
    world: World,
) -> None:
    path, given = "/v1/verifications/x", bearer()
    assert world.client.post(path, headers=given).status_code == 200
    assert world.membership.seen[-1].headers["AUTHORIZATION"] == given["Authorization"]
    assert world.client.post("/v1/sessions", headers=given).status_code == 200
    assert "AUTHORIZATION" not in world.membership.seen[-1].headers
    world.membership.entries.append(
        {"seq": 1, "before": time.time(), "kind": "session", "key": "ses_1"}
    )
    until(lambda: world.client.get("/v1/me", headers=given).status_code == 401)
    for stale in (given, bearer(iat=1, nbf=1, exp=2)):
        assert world.client.post(path, headers=stale).status_code == 200
        assert "AUTHORIZATION" not in world.membership.seen[-1].headers


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_these_need_a_token(world: World, method: str, path: str) -> None:
    assert world.client.open(path, method=method).status_code == 401
    assert world.forwarded == []


REVOKED = [
    ("membership", {"kind": "session", "key": "ses_1"}),
    ("membership", {"kind": "identity", "key": "idn_1"}),
    ("membership", {"kind": "member", "key": "mem_1"}),
    ("org", {"kind": "organization", "key": ORG, "state": "closed"}),
    ("org", {"kind": "organization", "key": ORG, "state": "open"}),
]


@pytest.mark.parametrize(("service", "entry"), REVOKED)
def test_a_token_is_refused_once_a_feed_revokes_it(
    world: World, service: str, entry: dict[str, Any]
) -> None:
    given = bearer()
    assert world.client.get("/v1/me", headers=given).status_code == 200
    getattr(world, service).entries.append({"seq": 1, "before": time.time(), **entry})
    until(lambda: world.client.get("/v1/me", headers=given).status_code == 401)
    answer = world.client.get("/v1/me", headers=given)
    assert (answer.json["code"], answer.headers["WWW-Authenticate"]) == ("token_revoked", "Bearer")
    others = {"sid": "ses_2", "sub": "idn_2", "mid": "mem_2"}
    expected = 401 if entry["kind"] == "organization" else 200
    assert world.client.get("/v1/me", headers=bearer(**others)).status_code == expected


def test_earlier_revocations_are_known_before_the_first_request(
    build: Build,
) -> None:
    world = build()
    world.membership.entries += [
        {"seq": n, "kind": "session", "key": f"ses_{n}", "before": time.time()}
        for n in range(1, 500)
    ]
    assert world.client.get("/v1/me", headers=bearer(sid="ses_499")).status_code == 401
    assert world.client.get("/v1/me", headers=bearer(sid="ses_500")).status_code == 200


def test_a_feed_whose_numbers_start_over_is_read_again(world: World) -> None:
    world.org.entries.append(
        {"seq": 7, "kind": "organization", "key": "org_x", "state": "closed", "before": 1.0}
    )
    assert world.client.get("/v1/me", headers=bearer()).status_code == 200
    feed = world.app.extensions["forwarder"]._feeds[1]
    until(lambda: feed._position == 7)
    world.org.entries = [
        {"seq": 1, "kind": "organization", "key": ORG, "state": "closed", "before": 1.0}
    ]
    until(lambda: world.client.get("/v1/me", headers=bearer()).status_code == 401)


@pytest.mark.parametrize("service", ["membership", "org"])
def test_no_token_is_accepted_while_a_feed_is_stale(build: Build, service: str) -> None:
    world = build(feed_silence_s=0.3)
    assert world.client.get("/v1/me", headers=bearer()).status_code == 200
    getattr(world, service).silent = True
    until(lambda: world.client.get("/v1/me", headers=bearer()).status_code == 503)
    answer = world.client.get("/v1/me", headers=bearer())
    assert (answer.json["code"], answer.headers["Retry-After"]) == ("service_unavailable", "2")
    assert world.client.get("/healthz").status_code == 200
    assert world.client.get("/readyz").json["checks"][f"revocations of {service}"] == "Unavailable"
    assert world.client.post("/v1/sessions").status_code == 200
    getattr(world, service).silent = False
    until(lambda: world.client.get("/v1/me", headers=bearer()).status_code == 200)


def test_the_latest_entry_of_an_organization_wins_in_any_order() -> None:
    known = Revocations(lambda: 1000.0)
    rows = [
        {"seq": seq, "kind": "organization", "key": ORG, "state": state, "before": before}
        for seq, state, before in (
            (1, "closed", 100.0),
            (2, "open", 200.0),
            (3, "closed", 300.0),
            (4, "open", 400.0),
        )
    ]
    for row in (rows[2], rows[0], rows[1]):
        known.learn(row)
    assert known.covers(claims(iat=999.0))
    known.learn(rows[3])
    known.learn(rows[2])
    assert known.covers(claims(iat=399.9))
    assert not known.covers(claims(iat=400.0))


def test_entries_are_dropped_after_the_longest_token_lifetime_except_closed_organizations() -> None:
    at = [10_000.0]
    known = Revocations(lambda: at[0])
    known.learn({"seq": 1, "kind": "session", "key": "ses_1", "before": 10_000.0})
    known.learn(
        {"seq": 1, "kind": "organization", "key": ORG, "state": "closed", "before": 10_000.0}
    )
    at[0] += 3600
    known.learn({"seq": 2, "kind": "session", "key": "ses_9", "before": at[0]})
    assert ("session", "ses_1") in known._before
    at[0] += RETENTION
    known.learn({"seq": 3, "kind": "session", "key": "ses_9", "before": at[0]})
    assert set(known._before) == {("session", "ses_9")}
    assert known.covers(claims(iat=at[0]))
