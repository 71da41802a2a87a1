"""A suspension ends sessions, also those that begin meanwhile."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from contracts import org
from membership.actions import audit_log
from sqlalchemy import text

from tests.membership.sessions.attempts import OLGA, attempt
from tests.waiting import until

pytestmark = pytest.mark.both_databases


def test_a_suspension_ends_sessions_and_refuses_logins(service):
    organization_id, token = service.owner()
    refresh = service.log_in(OLGA)["refresh_token"]
    service.receive(
        org.OrganizationSuspended(organization_id=organization_id, provider_id=organization_id)
    )
    assert service.is_revoked(token)
    refused = attempt(service, "four calm otters drift")
    assert refused.status_code == 403 and refused.json["code"] == "organization_suspended"
    assert attempt(service, "wrong").status_code == 401
    assert (
        service.call("POST", "/v1/sessions/refresh", {"refresh_token": refresh}).status_code == 401
    )
    service.receive(
        org.RestoreAccess(organization_id=organization_id, conversation_id="c", suspended=False)
    )
    assert (
        service.call("POST", "/v1/sessions/refresh", {"refresh_token": refresh}).status_code == 401
    )
    fresh = service.log_in(OLGA)
    assert not service.is_revoked(fresh["access_token"])


def test_a_suspension_affects_one_organization(service):
    first_id, _ = service.owner()
    second_id = service.customer(OLGA, name="Second")
    service.accept(OLGA, None)
    service.receive(org.OrganizationSuspended(organization_id=second_id, provider_id=second_id))
    assert service.log_in(OLGA)["organization"]["id"] == first_id
    named = service.call(
        "POST",
        "/v1/sessions",
        {"email": OLGA, "password": "four calm otters drift", "organization_id": second_id},
    )
    assert named.status_code == 403 and named.json["code"] == "organization_suspended"


def test_a_login_racing_a_suspension_never_leaves_a_live_token(service):
    organization_id, _ = service.owner()

    def log_in(_):
        with service.app.test_client() as client:
            return client.post(
                "/v1/sessions", json={"email": OLGA, "password": "four calm otters drift"}
            )

    def suspend():
        service.receive(
            org.OrganizationSuspended(organization_id=organization_id, provider_id=organization_id)
        )

    with ThreadPoolExecutor(5) as pool:
        answers = pool.map(log_in, range(12))
        pool.submit(suspend).result()
        tokens = [a.json["access_token"] for a in answers if a.status_code == 201]
    assert all(service.is_revoked(t) for t in tokens)


def test_a_suspension_waits_for_a_login_that_has_begun(service, monkeypatch):
    organization_id, _ = service.owner()
    begun, go_on, record = threading.Event(), threading.Event(), audit_log.record

    def record_later(*args, **kwargs):
        begun.set()
        assert go_on.wait(60)
        record(*args, **kwargs)

    def log_in():
        with service.app.test_client() as client:
            return client.post(
                "/v1/sessions", json={"email": OLGA, "password": "four calm otters drift"}
            )

    def waits_for_a_lock():
        if service.database.is_sqlite:  # has one writer at a time
            return True
        query = text(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with service.database.reading() as session:
            return session.scalar(query)

    suspended = org.OrganizationSuspended(
        organization_id=organization_id, provider_id=organization_id
    )
    monkeypatch.setattr(audit_log, "record", record_later)
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(log_in)
        assert begun.wait(60)
        monkeypatch.setattr(audit_log, "record", record)
        suspension = pool.submit(service.receive, suspended)
        until(lambda: suspension.done() or waits_for_a_lock())
        has_waited = not suspension.done()
        go_on.set()
        suspension.result()
        assert has_waited
        assert service.is_revoked(answer.result().json["access_token"])
