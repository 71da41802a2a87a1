"""Attacks: keeping a session, getting in, locking others out."""

import pytest
from chassis.runtime import clock, ids
from contracts import membership as messages
from contracts import org
from membership import jobs, models
from membership.values import attempt_limits
from sqlalchemy import update

OLGA = "olga@customer.example"
PASSWORD = "four calm otters drift"
NEW = "seven quiet herons wait"


def _exchange(service, organization_id, token):
    return service.call(
        "POST", "/v1/sessions/exchange", {"organization_id": organization_id}, token=token
    )


def test_a_token_of_an_ended_session_cannot_start_another(service):
    organization_id, token = service.owner()
    assert service.call("DELETE", "/v1/sessions/current", token=token).status_code == 204
    refused = _exchange(service, organization_id, token)
    assert refused.status_code == 401 and refused.json["code"] == "token_revoked"


def test_a_new_password_signs_a_thief_out(service):
    organization_id, stolen = service.owner()
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    service.call("POST", f"/v1/password-resets/{service.link(OLGA)}", {"password": NEW})
    assert _exchange(service, organization_id, stolen).status_code == 401


def test_repeated_exchanges_do_not_extend_a_session(service):
    organization_id, token = service.owner()
    [first] = service.call("GET", "/v1/sessions", token=token).json["data"]
    for _ in range(3):
        service.clock.advance(seconds=250)
        token = _exchange(service, organization_id, token).json["access_token"]
    rows = service.call("GET", "/v1/sessions", token=token).json["data"]
    assert [row["expires_at"] for row in rows] == [first["expires_at"]], "the same session"


def test_constant_reset_requests_block_nobody(service):
    service.owner()
    for _ in range(18):
        service.call("POST", "/v1/password-resets", {"email": OLGA})
        newest = service.send_mails()[-1]
        service.clock.advance(minutes=10)
    assert len(service.send_mails()) == 1 + 3 * 3
    assert "/reset/" in newest.get_content()


def test_a_new_password_invalidates_reset_links(service):
    _, token = service.owner()
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    older = service.link(OLGA)
    new = {"password": PASSWORD, "new_password": NEW}
    assert service.call("POST", "/v1/me/password", new, token=token).status_code == 201
    assert (
        service.call("POST", f"/v1/password-resets/{older}", {"password": PASSWORD}).status_code
        == 410
    )
    service.log_in(OLGA, NEW)


@pytest.mark.usefixtures("stopped_clock")
def test_after_a_hundred_failures_only_a_new_password_helps(service):
    service.owner()
    elsewhere = {"X-Forwarded-For": "203.0.113.9"}

    def log_in(password):
        return service.call(
            "POST", "/v1/sessions", {"email": OLGA, "password": password}, headers=dict(elsewhere)
        )

    assert log_in("wrong").status_code == 401
    with service.database.transaction() as session:
        session.execute(update(models.LoginFailures).values(count=attempt_limits.LOCKED_AT - 1))
    service.clock.advance(minutes=16)
    assert log_in("wrong").status_code == 401
    service.clock.advance(days=40)
    while jobs.report_failed_attempts(service.database, clock.now(), service.settings):
        pass
    jobs.delete_expired(service.database, clock.now(), service.settings)
    assert log_in(PASSWORD).status_code == 429
    service.call("POST", "/v1/password-resets", {"email": OLGA})
    service.call("POST", f"/v1/password-resets/{service.link(OLGA)}", {"password": NEW})
    assert log_in(NEW).status_code == 201


def test_an_owner_of_many_customers_is_invited_to_each(service):
    for n in range(8):
        service.receive(
            org.InviteOwner(
                organization_id=ids.new("org"),
                provider_id=ids.new("org"),
                name=f"Acme {n}",
                given_name="Olga",
                family_name="Owner",
                email=OLGA,
                managed_by="provider",
            )
        )
    assert len(service.published(messages.OwnerInvited)) == 8 and len(service.send_mails()) == 8


@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/password-resets"])
def test_an_address_with_characters_databases_refuse_is_invalid(service, path):
    body = {"email": "a\0b@customer.example"} | (
        {"password": "wrong\0"} if path == "/v1/sessions" else {}
    )
    refused = service.call("POST", path, body)
    assert refused.status_code == 422 and refused.json["errors"][0]["pointer"] == "/email"


def test_a_search_with_characters_databases_refuse_is_invalid(service):
    organization_id, token = service.owner()
    refused = service.call("GET", f"/v1/organizations/{organization_id}/members?q=%00", token=token)
    assert refused.status_code == 422
