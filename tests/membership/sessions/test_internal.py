"""What the gateway and org ask: the feed of revocations, the closing check."""

import pytest
from chassis.runtime import clock
from membership import jobs

from tests.membership.sessions.attempts import OLGA


def test_the_feed_continues_after_a_position_and_deletes_old_entries(service):
    _, token = service.owner()
    service.call("DELETE", "/v1/sessions/current", token=token)
    feed = service.feed()
    assert feed["entries"][-1]["kind"] == "session" and feed["last"] == feed["entries"][-1]["seq"]
    assert service.feed(feed["last"]) == {"entries": [], "last": feed["last"]}
    assert service.feed(feed["last"] + 1000)["entries"] == feed["entries"]
    service.clock.advance(minutes=66)
    assert service.feed() == {"entries": [], "last": feed["last"]}
    while jobs.delete_expired(service.database, clock.now(), service.settings):
        pass
    second = service.log_in(OLGA)["access_token"]
    service.call("DELETE", "/v1/sessions/current", token=second)
    assert [e["seq"] for e in service.feed(feed["last"])["entries"]] == [feed["last"] + 1]


@pytest.mark.parametrize("auth", [None, ("gateway", "guess"), ("org", "org's own")])
def test_the_feed_is_for_the_gateway(service, auth):
    assert service.client.get("/internal/revocations", auth=auth).status_code == 401


def test_the_closing_check_is_for_org(service):
    organization_id = service.customer()
    path = f"/internal/organizations/{organization_id}/closing-check"
    assert service.client.get(path, auth=("org", "org's own")).json == {"warnings": []}
    assert service.client.get(path).status_code == 401
