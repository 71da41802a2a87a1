"""Logging in, staying in, being thrown out."""

import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from chassis.db.database import Database
from chassis.runtime import clock, ids
from contracts import membership as messages
from contracts import org
from membership import app as application
from membership import jobs, models, queries
from membership.actions import audit_log, providers, sessions
from membership.values import passwords
from sqlalchemy import select

pytestmark = pytest.mark.both_databases

OLGA = "olga@customer.example"
OTHER = "seven quiet herons wait"


def _try(world, password, address=OLGA):
    return world.call("POST", "/v1/sessions", {"email": address, "password": password})


def test_the_answer_has_what_the_contract_says(world):
    organization_id, _ = world.owner()
    answer = world.log_in(OLGA)
    assert {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "identity",
        "organization",
        "role",
        "scopes",
    } == set(answer)
    assert (
        answer["token_type"] == "Bearer"
        and answer["expires_in"] == 300
        and answer["role"] == "owner"
    )
    assert answer["organization"] == {"id": organization_id, "name": "Acme Ltd", "kind": "customer"}
    claims = world.claims(answer["access_token"])
    assert claims["iss"] == claims["aud"] == "clientele" and claims["name"] == "Olga Owner"
    assert (
        claims["mid"].startswith("mem_")
        and claims["sid"].startswith("ses_")
        and claims["sub"].startswith("idn_")
    )
    assert isinstance(claims["iat"], float) and claims["exp"] == claims["iat"] + 300


def test_wrong_password_and_unknown_address_read_the_same_and_work_the_same(world):
    world.owner()
    worked = []

    class Spy(passwords.Hasher):
        def matches(self, kept, password):
            worked.append(password)
            return super().matches(kept, password)

    world.app.extensions["hasher"] = Spy(memory_kib=8, passes=1)
    known, unknown = (
        _try(world, "wrong wrong wrong"),
        _try(world, "wrong wrong wrong", "nobody@customer.example"),
    )
    assert known.status_code == unknown.status_code == 401
    assert known.json["code"] == "invalid_credentials"
    assert {**known.json, "instance": ""} == {**unknown.json, "instance": ""}
    assert len(worked) == 2


@pytest.mark.parametrize("address", [OLGA, "nobody@customer.example"])
def test_from_the_fifth_failure_there_is_a_growing_wait(world, address):
    world.owner()
    assert [_try(world, f"wrong {n}", address).status_code for n in range(5)] == [401] * 5
    refused = _try(world, PASSWORD_OF.get(address, "x"), address)
    assert refused.status_code == 429 and refused.headers["Retry-After"] == "1"
    assert refused.json["code"] == "too_many_attempts"
    world.clock.pass_(seconds=1.1)
    assert _try(world, "wrong again", address).status_code == 401
    assert _try(world, "wrong again", address).headers["Retry-After"] == "2"
    world.clock.pass_(seconds=2.1)
    if address == OLGA:
        world.log_in(OLGA)
        assert _try(world, "wrong").status_code == 401
        assert _try(world, "wrong").status_code == 401


PASSWORD_OF = {OLGA: "four calm otters drift"}


def test_another_spelling_is_the_same_account_for_the_limit(world):
    world.owner()
    for spelling in ("OLGA@customer.example", " olga@Customer.example", OLGA, OLGA.upper(), OLGA):
        assert _try(world, "wrong", spelling).status_code == 401
    assert _try(world, "wrong", "Olga@Customer.Example").status_code == 429


def test_a_burst_of_guesses_gets_no_more_answers_than_guesses_in_a_row(world):
    world.owner()

    def guess(n):
        with world.app.test_client() as client:
            return client.post(
                "/v1/sessions", json={"email": OLGA, "password": f"wrong {n}"}
            ).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, range(16)))
    assert answers.count(401) <= 6 and answers.count(401) + answers.count(429) == 16


def test_failures_reach_the_audit_later(world):
    world.owner()
    for _ in range(3):
        _try(world, "wrong")
        _try(world, "wrong", "nobody@customer.example")
    assert jobs.report_failed_attempts(world.database, clock.now(), world.settings) == 2
    denied = [m for m in world.said(messages.AuditRecorded) if m.outcome == "denied"]
    assert [m.changes[0]["after"] for m in denied] == [3]
    assert jobs.report_failed_attempts(world.database, clock.now(), world.settings) == 0


def test_refreshing_rotates_and_a_used_token_ends_the_family(world):
    world.owner()
    first = world.log_in(OLGA)
    second = world.call("POST", "/v1/sessions/refresh", {"refresh_token": first["refresh_token"]})
    assert second.status_code == 201 and second.json["refresh_token"] != first["refresh_token"]
    assert not world.revoked(second.json["access_token"])
    again = world.call("POST", "/v1/sessions/refresh", {"refresh_token": first["refresh_token"]})
    assert again.status_code == 401
    after = world.call(
        "POST", "/v1/sessions/refresh", {"refresh_token": second.json["refresh_token"]}
    )
    assert after.status_code == 401
    assert world.revoked(second.json["access_token"]) and world.revoked(first["access_token"])


def test_refreshing_at_once_succeeds_once_at_most_and_leaves_no_live_family(world):
    world.owner()
    token = world.log_in(OLGA)["refresh_token"]

    def refresh(_):
        with world.app.test_client() as client:
            return client.post("/v1/sessions/refresh", json={"refresh_token": token})

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(refresh, range(4)))
    won = [a for a in answers if a.status_code == 201]
    assert len(won) == 1
    assert (
        world.call(
            "POST", "/v1/sessions/refresh", {"refresh_token": won[0].json["refresh_token"]}
        ).status_code
        == 401
    )


@pytest.mark.parametrize("token", ["", "x", "\u0000", "a" * 1024])
def test_a_refresh_token_that_is_none(world, token):
    answer = world.call("POST", "/v1/sessions/refresh", {"refresh_token": token})
    assert answer.status_code in (401, 422)


def test_a_session_left_alone_ends(world):
    world.owner()
    token = world.log_in(OLGA)["refresh_token"]
    world.clock.pass_(minutes=61)
    assert world.call("POST", "/v1/sessions/refresh", {"refresh_token": token}).status_code == 401


def test_a_session_ends_however_busy_it_is(world):
    world.owner()
    token = world.log_in(OLGA)["refresh_token"]
    for _ in range(27):
        world.clock.pass_(minutes=55)
        answer = world.call("POST", "/v1/sessions/refresh", {"refresh_token": token})
        token = answer.json.get("refresh_token")
    assert answer.status_code == 401


def test_signing_out_revokes_and_others_live_on(world):
    _, token = world.owner()
    other = world.log_in(OLGA)
    listed = world.call("GET", "/v1/sessions", token=token).json["data"]
    assert len(listed) == 2 and [s["current"] for s in listed] == [False, True]
    assert world.call("DELETE", "/v1/sessions/current", token=token).status_code == 204
    assert world.revoked(token) and not world.revoked(other["access_token"])
    assert len(world.call("GET", "/v1/sessions", token=other["access_token"]).json["data"]) == 1


def test_one_may_end_only_ones_own_sessions(world):
    _, token = world.owner()
    _, stranger = world.owner("sam@other.example", name="Other")
    sid = world.claims(stranger)["sid"]
    assert world.call("DELETE", f"/v1/sessions/{sid}", token=token).status_code == 404
    assert world.call("DELETE", "/v1/sessions/ses_x", token=token).status_code == 404
    assert not world.revoked(stranger)


def test_exchange_enters_another_own_organization_and_the_old_session_lives(world):
    first_id, token = world.owner()
    second_id = world.customer(OLGA, name="Second")
    assert (
        world.call(
            "POST", "/v1/sessions/exchange", {"organization_id": second_id}, token=token
        ).status_code
        == 403
    )
    world.accept(OLGA, None)
    entered = world.call(
        "POST", "/v1/sessions/exchange", {"organization_id": second_id}, token=token
    )
    assert (
        entered.status_code == 201
        and world.claims(entered.json["access_token"])["org"] == second_id
    )
    assert not world.revoked(token)
    stranger_id = world.customer("sam@other.example")
    assert (
        world.call(
            "POST", "/v1/sessions/exchange", {"organization_id": stranger_id}, token=token
        ).status_code
        == 404
    )
    mine = world.call("GET", "/v1/me/organizations", token=token).json
    assert {o["id"] for o in mine["own"]} == {first_id, second_id} and mine["serviced"] == []
    assert world.log_in(OLGA)["organization"]["id"] == second_id
    assert world.log_in(OLGA, organization_id=first_id)["organization"]["id"] == first_id
    assert world.log_in(OLGA)["organization"]["id"] == first_id


def test_suspended_everybody_is_out_and_stays_out(world):
    organization_id, token = world.owner()
    refresh = world.log_in(OLGA)["refresh_token"]
    world.hear(
        org.OrganizationSuspended(organization_id=organization_id, provider_id=organization_id)
    )
    assert world.revoked(token)
    refused = _try(world, "four calm otters drift")
    assert refused.status_code == 403 and refused.json["code"] == "organization_suspended"
    assert _try(world, "wrong").status_code == 401
    assert world.call("POST", "/v1/sessions/refresh", {"refresh_token": refresh}).status_code == 401
    world.hear(
        org.RestoreAccess(organization_id=organization_id, conversation_id="c", suspended=False)
    )
    assert world.call("POST", "/v1/sessions/refresh", {"refresh_token": refresh}).status_code == 401
    fresh = world.log_in(OLGA)
    assert not world.revoked(fresh["access_token"])


def test_only_the_suspended_one_is_shut(world):
    first_id, _ = world.owner()
    second_id, _ = world.owner(name="Second")
    world.hear(org.OrganizationSuspended(organization_id=second_id, provider_id=second_id))
    assert world.log_in(OLGA)["organization"]["id"] == first_id
    named = world.call(
        "POST",
        "/v1/sessions",
        {"email": OLGA, "password": "four calm otters drift", "organization_id": second_id},
    )
    assert named.status_code == 403 and named.json["code"] == "organization_suspended"


def test_nobody_logs_in_before_the_organization_is_ready(world):
    organization_id = ids.new("org")
    world.hear(
        org.InviteOwner(
            organization_id=organization_id,
            provider_id=ids.new("org"),
            name="Acme Ltd",
            given_name="Olga",
            family_name="Owner",
            email=OLGA,
            managed_by="provider",
        )
    )
    world.accept(OLGA)
    assert _try(world, "four calm otters drift").status_code == 403
    world.hear(
        org.OrganizationActivated(organization_id=organization_id, provider_id=ids.new("org"))
    )
    world.log_in(OLGA)


def test_a_login_racing_a_suspension_never_leaves_a_live_token(world):
    organization_id, _ = world.owner()

    def log_in(_):
        with world.app.test_client() as client:
            return client.post(
                "/v1/sessions", json={"email": OLGA, "password": "four calm otters drift"}
            )

    def suspend():
        world.hear(
            org.OrganizationSuspended(organization_id=organization_id, provider_id=organization_id)
        )

    with ThreadPoolExecutor(5) as pool:
        answers = pool.map(log_in, range(12))
        pool.submit(suspend).result()
        tokens = [a.json["access_token"] for a in answers if a.status_code == 201]
    assert all(world.revoked(t) for t in tokens)


def test_a_suspension_waits_for_a_login_that_has_begun(world, monkeypatch):
    organization_id, _ = world.owner()
    inside, record = threading.Event(), audit_log.record

    def slowly(*args, **kwargs):
        inside.set()
        time.sleep(0.3)
        record(*args, **kwargs)

    def log_in():
        with world.app.test_client() as client:
            return client.post(
                "/v1/sessions", json={"email": OLGA, "password": "four calm otters drift"}
            )

    monkeypatch.setattr(audit_log, "record", slowly)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(log_in)
        assert inside.wait(5)
        world.hear(
            org.OrganizationSuspended(organization_id=organization_id, provider_id=organization_id)
        )
        assert world.revoked(answer.result().json["access_token"])


def test_a_password_changed_while_the_old_one_is_checked(world):
    world.owner()

    class Slow(passwords.Hasher):
        def matches(self, kept, password):
            world.call("POST", "/v1/password-resets", {"email": OLGA})
            link = world.link(OLGA)
            assert (
                world.call("POST", f"/v1/password-resets/{link}", {"password": OTHER}).status_code
                == 201
            )
            return super().matches(kept, password)

    world.app.extensions["hasher"] = Slow(memory_kib=8, passes=1)
    assert _try(world, "four calm otters drift").status_code == 401


def test_resting_sessions_beyond_the_limit_end_but_none_in_use(world):
    world.owner()
    early = world.log_in(OLGA)
    world.clock.pass_(minutes=10)
    busy = [world.log_in(OLGA) for _ in range(12)]
    refresh = {"refresh_token": early["refresh_token"]}
    assert world.call("POST", "/v1/sessions/refresh", refresh).status_code == 401
    assert not any(world.revoked(s["access_token"]) for s in busy)


def test_a_stronger_hash_is_made_on_login(world):
    world.owner()
    world.app.extensions["hasher"] = passwords.Hasher(memory_kib=16, passes=1)
    world.log_in(OLGA)
    with world.database.reading() as session:
        kept = session.scalar(
            select(models.Identity.password_hash).where(models.Identity.email == OLGA)
        )
    assert "m=16,t=1" in kept
    world.log_in(OLGA)


def test_the_feed_goes_on_where_one_was_and_forgets(world):
    _, token = world.owner()
    world.call("DELETE", "/v1/sessions/current", token=token)
    feed = world.feed()
    assert feed["entries"][-1]["kind"] == "session" and feed["last"] == feed["entries"][-1]["seq"]
    assert world.feed(feed["last"]) == {"entries": [], "last": feed["last"]}
    assert world.feed(feed["last"] + 1000)["entries"] == feed["entries"]
    world.clock.pass_(minutes=66)
    assert world.feed() == {"entries": [], "last": feed["last"]}
    while jobs.delete_expired(world.database, clock.now(), world.settings):
        pass
    second = world.log_in(OLGA)["access_token"]
    world.call("DELETE", "/v1/sessions/current", token=second)
    assert [e["seq"] for e in world.feed(feed["last"])["entries"]] == [feed["last"] + 1]


@pytest.mark.parametrize("auth", [None, ("gateway", "guess"), ("org", "org's own")])
def test_the_feed_is_for_the_gateway(world, auth):
    assert world.client.get("/internal/revocations", auth=auth).status_code == 401


def test_the_closing_check_is_for_org(world):
    organization_id = world.customer()
    path = f"/internal/organizations/{organization_id}/closing-check"
    assert world.client.get(path, auth=("org", "org's own")).json == {"warnings": []}
    assert world.client.get(path).status_code == 401


def test_the_provider_is_made_once_whoever_comes_first(world):
    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(lambda _: application.bootstrap(world.settings, world.database), range(4))
        )
    assert [m for m in made if m] == [("admin@example.com", None)]
    created = world.said(messages.ProviderCreated)
    assert len(created) == 1 and created[0].owner.verified
    assert world.log_in("admin@example.com")["role"] == "owner"


def test_without_a_password_in_the_settings_one_is_made(database: Database, world):
    login = application.bootstrap(
        dataclasses.replace(world.settings, clientele_admin_password=""), database
    )
    assert login.password and len(login.password) >= 16
    world.log_in(login.email, login.password)


def test_a_further_provider_is_made_once_and_somebody_known_keeps_their_password(world) -> None:
    settings = dataclasses.replace(
        world.settings,
        clientele_provider_name="Second",
        clientele_admin_email="second@provider.example",
        clientele_admin_password="",
    )

    first = application.add_provider(settings, world.database)
    again = application.add_provider(
        dataclasses.replace(settings, clientele_provider_name="Third"), world.database
    )

    assert first.password and again.password is None
    assert world.log_in("second@provider.example", first.password)["role"] == "owner"
    with pytest.raises(providers.ProviderExists):
        application.add_provider(settings, world.database)


def test_whoever_was_cut_off_while_a_login_waited_gets_no_session(world):
    """The place was read before its rows were locked, and is somebody else's, or nobody's, by
    then."""
    world.owner()
    with world.database.transaction() as session:
        member = session.scalars(
            select(models.Member).where(models.Member.email == "olga@customer.example")
        ).one()
        membership = queries.membership(session, member.id)
        assert sessions.lock_membership(session, membership, member.identity_id) is membership
        with pytest.raises(sessions.TokenRevoked):
            sessions.lock_membership(session, membership, ids.new("idn"))
