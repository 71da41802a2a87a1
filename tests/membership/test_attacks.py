"""What somebody tries who wants to stay, to get in, or to keep others out."""

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


def _exchange(world, organization_id, token):
    return world.call(
        "POST", "/v1/sessions/exchange", {"organization_id": organization_id}, token=token
    )


def test_a_token_that_outlives_its_session_begins_no_other_session(world):
    organization_id, token = world.owner()
    assert world.call("DELETE", "/v1/sessions/current", token=token).status_code == 204
    refused = _exchange(world, organization_id, token)
    assert refused.status_code == 401 and refused.json["code"] == "token_revoked"


def test_a_thief_does_not_outlast_a_new_password(world):
    organization_id, stolen = world.owner()
    world.call("POST", "/v1/password-resets", {"email": OLGA})
    world.call("POST", f"/v1/password-resets/{world.link(OLGA)}", {"password": NEW})
    assert _exchange(world, organization_id, stolen).status_code == 401


def test_entering_again_and_again_makes_no_session_longer(world):
    organization_id, token = world.owner()
    [first] = world.call("GET", "/v1/sessions", token=token).json["data"]
    for _ in range(3):
        world.clock.pass_(seconds=250)
        token = _exchange(world, organization_id, token).json["access_token"]
    rows = world.call("GET", "/v1/sessions", token=token).json["data"]
    assert {row["expires_at"] for row in rows} == {first["expires_at"]} and len(rows) == 4


def test_asking_for_resets_all_the_time_keeps_nobody_out(world):
    world.owner()
    for _ in range(18):
        world.call("POST", "/v1/password-resets", {"email": OLGA})
        newest = world.post()[-1]
        world.clock.pass_(minutes=10)
    assert len(world.post()) == 1 + 3 * 3
    assert "/reset/" in newest.get_content()


def test_a_password_chosen_by_one_link_kills_the_other_links_to_a_new_one(world):
    world.owner()
    world.call("POST", "/v1/password-resets", {"email": OLGA})
    older = world.link(OLGA)
    world.customer(OLGA, name="Second")
    world.accept(OLGA, NEW)
    assert (
        world.call("POST", f"/v1/password-resets/{older}", {"password": PASSWORD}).status_code
        == 410
    )
    world.log_in(OLGA, NEW)


def test_after_a_hundred_failures_only_a_new_password_helps(world):
    world.owner()
    elsewhere = {"X-Forwarded-For": "203.0.113.9"}

    def log_in(password):
        return world.call(
            "POST", "/v1/sessions", {"email": OLGA, "password": password}, headers=dict(elsewhere)
        )

    assert log_in("wrong").status_code == 401
    with world.database.transaction() as session:
        session.execute(update(models.LoginFailures).values(count=attempt_limits.LOCKED_AT - 1))
    world.clock.pass_(minutes=16)
    assert log_in("wrong").status_code == 401
    world.clock.pass_(days=40)
    while jobs.report_failed_attempts(world.database, clock.now(), world.settings):
        pass
    jobs.delete_expired(world.database, clock.now(), world.settings)
    assert log_in(PASSWORD).status_code == 429
    world.call("POST", "/v1/password-resets", {"email": OLGA})
    world.call("POST", f"/v1/password-resets/{world.link(OLGA)}", {"password": NEW})
    assert log_in(NEW).status_code == 201


def test_the_owner_of_very_many_customers_is_invited_to_each(world):
    for n in range(8):
        world.hear(
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
    assert len(world.said(messages.OwnerInvited)) == 8 and len(world.post()) == 8


@pytest.mark.parametrize("path", ["/v1/sessions", "/v1/password-resets"])
def test_an_address_with_characters_no_database_takes_is_invalid(world, path):
    body = {"email": "a\0b@customer.example"} | (
        {"password": "wrong\0"} if path == "/v1/sessions" else {}
    )
    refused = world.call("POST", path, body)
    assert refused.status_code == 422 and refused.json["errors"][0]["pointer"] == "/email"


def test_a_search_with_characters_no_database_takes_is_invalid(world):
    organization_id, token = world.owner()
    refused = world.call("GET", f"/v1/organizations/{organization_id}/members?q=%00", token=token)
    assert refused.status_code == 422
