"""What signed-in people add to the database again and again is limited, and deleted in time."""

from datetime import timedelta

import pytest
from chassis.runtime import clock
from membership import jobs
from membership.actions import cleanup, sessions
from membership.models import ApiKey, ApiKeySecret, RefreshToken
from membership.values import attempt_limits
from membership.values.attempt_limits import Limit
from sqlalchemy import func, select

OLGA = "olga@customer.example"


class Setup:
    """A customer whose owner is signed in."""

    def __init__(self, service):
        self.service = service
        self.organization_id, self.owner = service.owner()

    def count(self, table, *which):
        with self.service.database.reading() as session:
            return session.scalar(select(func.count()).select_from(table).where(*which))

    def refresh(self, token):
        return self.service.call("POST", "/v1/sessions/refresh", {"refresh_token": token})

    def key(self, **fields):
        body = {"name": "Key", "scopes": ["members:read"]} | fields
        return self.service.call("POST", "/v1/api-keys", body, token=self.owner)

    def clean(self, **later):
        """Run the job some time later."""
        self.service.clock.advance(**later)
        return jobs.delete_expired(self.service.database, clock.now(), self.service.settings)


@pytest.fixture
def setup(service):
    return service.prepared("bounded rows", lambda: Setup(service))


@pytest.mark.usefixtures("stopped_clock")
def test_a_session_is_refreshed_only_so_often(setup, monkeypatch):
    within = timedelta(minutes=10)
    assert Limit(60, within) == attempt_limits.REFRESHES
    monkeypatch.setattr(attempt_limits, "REFRESHES", Limit(3, within))
    other, login = setup.service.log_in(OLGA), setup.service.log_in(OLGA)
    token = login["refresh_token"]
    for _ in range(3):
        used, token = token, setup.refresh(token).json["refresh_token"]

    refused = setup.refresh(token)
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_requests")
    assert 590 < int(refused.headers["Retry-After"]) <= 600
    assert setup.refresh(used).status_code == 201, "the same answer again"
    assert setup.refresh(other["refresh_token"]).status_code == 201, "another session"
    setup.service.clock.advance(minutes=9)
    assert setup.refresh(token).status_code == 429
    setup.service.clock.advance(minutes=1)
    assert setup.refresh(token).status_code == 201
    assert setup.refresh(used).status_code == 401, "every used token is remembered"


def test_switching_again_and_again_keeps_a_sessions_newest_tokens(setup, monkeypatch):
    monkeypatch.setattr(sessions, "MAX_UNUSED_TOKENS", 3)

    def switch():
        body = {"organization_id": setup.organization_id}
        return setup.service.call("POST", "/v1/sessions/exchange", body, token=setup.owner).json

    session_id = setup.service.claims(setup.owner)["sid"]
    tokens = []
    for _ in range(5):
        setup.service.clock.advance(seconds=1)
        tokens.append(switch()["refresh_token"])

    assert setup.count(RefreshToken, RefreshToken.session_id == session_id) == 3
    assert [setup.refresh(token).status_code for token in tokens] == [401, 401, 201, 201, 201]


def test_expired_and_deleted_keys_are_deleted_in_time_and_live_ones_are_not(setup):
    soon = (clock.now() + timedelta(hours=1)).isoformat()
    key_id = setup.key(expires_at=soon).json["id"]
    gone_id, kept_id = setup.key().json["id"], setup.key(expires_at=None).json["id"]
    assert setup.service.call("DELETE", f"/v1/api-keys/{gone_id}", token=setup.owner).status_code

    setup.clean(days=2)
    assert setup.count(ApiKey, ApiKey.id == gone_id) == 0
    assert setup.count(ApiKey, ApiKey.id == key_id) == 1, "its owner still sees that it expired"
    setup.clean(days=90)
    assert setup.count(ApiKey) == setup.count(ApiKeySecret) == 1
    assert setup.count(ApiKey, ApiKey.id == kept_id) == 1


def test_keys_are_deleted_in_batches(setup):
    for _ in range(3):
        key_id = setup.key().json["id"]
        setup.service.call("DELETE", f"/v1/api-keys/{key_id}", token=setup.owner)
    setup.service.clock.advance(days=2)
    for left in (1, 0):
        with setup.service.database.transaction() as session:
            cleanup.delete_expired(session, now=clock.now(), limit=2)
        assert setup.count(ApiKey) == left


def test_an_organization_makes_so_many_keys_a_day(setup, monkeypatch):
    assert Limit(100, timedelta(days=1)) == attempt_limits.KEYS
    monkeypatch.setattr(attempt_limits, "KEYS", Limit(2, timedelta(days=1)))
    assert [setup.key().status_code for _ in range(2)] == [201, 201]
    refused = setup.key()
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_requests")
    setup.service.clock.advance(days=1)
    setup.owner = setup.service.log_in(OLGA)["access_token"]
    assert setup.key().status_code == 201
