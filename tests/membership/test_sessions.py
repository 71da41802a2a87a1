"""Sessions: log in, refresh, end."""

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from chassis.auth.encryption import DecryptionError, Encryption
from chassis.db.database import Database
from chassis.runtime import clock, ids, log
from contracts import membership as messages
from contracts import org
from membership import app as application
from membership import jobs, models, queries
from membership.actions import audit_log, providers, sessions
from membership.values import passwords
from sqlalchemy import select, text

from tests.waiting import until

pytestmark = pytest.mark.both_databases

OLGA = "olga@customer.example"
OTHER = "seven quiet herons wait"


def _try(service, password, address=OLGA):
    return service.call("POST", "/v1/sessions", {"email": address, "password": password})


def test_the_response_follows_the_contract(service):
    organization_id, _ = service.owner()
    answer = service.log_in(OLGA)
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
    claims = service.claims(answer["access_token"])
    assert claims["iss"] == claims["aud"] == "clientele" and claims["name"] == "Olga Owner"
    assert (
        claims["mid"].startswith("mem_")
        and claims["sid"].startswith("ses_")
        and claims["sub"].startswith("idn_")
    )
    assert isinstance(claims["iat"], float) and claims["exp"] == claims["iat"] + 300


def test_a_wrong_password_and_an_unknown_address_get_the_same_response_and_work(service):
    service.owner()
    worked = []

    class Spy(passwords.Hasher):
        def matches(self, kept, password):
            worked.append(password)
            return super().matches(kept, password)

    service.app.extensions["hasher"] = Spy(memory_kib=8, passes=1)
    known, unknown = (
        _try(service, "wrong wrong wrong"),
        _try(service, "wrong wrong wrong", "nobody@customer.example"),
    )
    assert known.status_code == unknown.status_code == 401
    assert known.json["code"] == "invalid_credentials"
    assert {**known.json, "instance": ""} == {**unknown.json, "instance": ""}
    assert len(worked) == 2


@pytest.mark.parametrize("address", [OLGA, "nobody@customer.example"])
def test_the_delay_grows_from_the_fifth_failure(service, address):
    service.owner()
    assert [_try(service, f"wrong {n}", address).status_code for n in range(5)] == [401] * 5
    refused = _try(service, PASSWORD_OF.get(address, "x"), address)
    assert refused.status_code == 429 and refused.headers["Retry-After"] == "1"
    assert refused.json["code"] == "too_many_attempts"
    service.clock.advance(seconds=1.1)
    assert _try(service, "wrong again", address).status_code == 401
    assert _try(service, "wrong again", address).headers["Retry-After"] == "2"
    service.clock.advance(seconds=2.1)
    if address == OLGA:
        service.log_in(OLGA)
        assert _try(service, "wrong").status_code == 401
        assert _try(service, "wrong").status_code == 401


PASSWORD_OF = {OLGA: "four calm otters drift"}


def test_another_spelling_of_an_address_counts_as_the_same(service):
    service.owner()
    for spelling in ("OLGA@customer.example", " olga@Customer.example", OLGA, OLGA.upper(), OLGA):
        assert _try(service, "wrong", spelling).status_code == 401
    assert _try(service, "wrong", "Olga@Customer.Example").status_code == 429


def test_concurrent_logins_are_limited_like_sequential_ones(service):
    service.owner()

    def guess(n):
        with service.app.test_client() as client:
            return client.post(
                "/v1/sessions", json={"email": OLGA, "password": f"wrong {n}"}
            ).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(guess, range(16)))
    assert answers.count(401) <= 6 and answers.count(401) + answers.count(429) == 16


def test_failures_reach_the_audit_log_later(service):
    service.owner()
    for _ in range(3):
        _try(service, "wrong")
        _try(service, "wrong", "nobody@customer.example")
    assert jobs.report_failed_attempts(service.database, clock.now(), service.settings) == 2
    denied = [m for m in service.published(messages.AuditRecorded) if m.outcome == "denied"]
    assert [m.changes[0]["after"] for m in denied] == [3]
    assert jobs.report_failed_attempts(service.database, clock.now(), service.settings) == 0


def _refresh(service, token, client=None):
    body = {"refresh_token": token}
    return (client or service.client).post("/v1/sessions/refresh", json=body)


def test_refreshing_rotates_and_a_used_token_ends_the_family(service):
    service.owner()
    first = service.log_in(OLGA)
    second = _refresh(service, first["refresh_token"])
    assert second.status_code == 201 and second.json["refresh_token"] != first["refresh_token"]
    assert not service.is_revoked(second.json["access_token"])
    service.clock.advance(seconds=10.1)
    again = _refresh(service, first["refresh_token"])
    assert (again.status_code, again.json["code"]) == (401, "invalid_refresh_token")
    assert _refresh(service, second.json["refresh_token"]).status_code == 401
    assert service.is_revoked(second.json["access_token"]) and service.is_revoked(
        first["access_token"]
    )


def test_a_lost_answer_to_a_refresh_is_given_again_for_ten_seconds(service):
    service.owner()
    service.clock.stop()
    first = service.log_in(OLGA)["refresh_token"]
    second = _refresh(service, first)
    service.clock.advance(seconds=5)
    third = _refresh(service, second.json["refresh_token"])
    service.clock.advance(seconds=5)

    assert _refresh(service, first).json == second.json
    assert _refresh(service, second.json["refresh_token"]).json == third.json
    assert _refresh(service, third.json["refresh_token"]).status_code == 201


def test_concurrent_refreshes_get_the_same_answer(service):
    service.owner()
    token = service.log_in(OLGA)["refresh_token"]

    def refresh(_):
        with service.app.test_client() as client:
            return _refresh(service, token, client)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(refresh, range(4)))
    assert [a.status_code for a in answers] == [201] * 4
    assert len({a.text for a in answers}) == 1
    assert _refresh(service, answers[0].json["refresh_token"]).status_code == 201


def test_the_answer_is_not_given_again_once_the_session_has_ended(service):
    service.owner()
    token = service.log_in(OLGA)["refresh_token"]
    answer = _refresh(service, token).json
    service.call("DELETE", "/v1/sessions/current", token=answer["access_token"])

    assert _refresh(service, token).status_code == 401


def test_the_answer_is_stored_unreadable_and_soon_deleted(service):
    service.owner()
    token = service.log_in(OLGA)["refresh_token"]
    answer = _refresh(service, token).json

    def stored():
        with service.database.reading() as session:
            return [text for text in session.scalars(select(models.RefreshToken.answer)) if text]

    [encrypted] = stored()
    assert not {answer["refresh_token"], answer["access_token"]} & set(encrypted.split('"'))
    other = Encryption(answer["refresh_token"], purpose=sessions.ANSWER)
    with pytest.raises(DecryptionError):
        other.decrypt(encrypted)
    jobs.delete_expired(service.database, clock.now(), service.settings)
    assert stored() == [encrypted]
    service.clock.advance(seconds=11)
    jobs.delete_expired(service.database, clock.now(), service.settings)
    assert stored() == []


def test_a_session_shows_from_where_and_with_what_it_is_used(service):
    service.owner()
    body = {"email": OLGA, "password": "four calm otters drift"}
    headers = {"X-Forwarded-For": "2001:db8::7", "User-Agent": "Lynx/2\u202e"}
    begun = service.call("POST", "/v1/sessions", body, headers=headers).json

    def shown():
        rows = service.call("GET", "/v1/sessions", token=begun["access_token"]).json["data"]
        return [(row["client_address"], row["user_agent"]) for row in rows if row["current"]]

    assert shown() == [("2001:db8::7", "Lynx/2")]
    service.client.post(
        "/v1/sessions/refresh",
        json={"refresh_token": begun["refresh_token"]},
        headers={"X-Forwarded-For": "198.51.100.7"},
    )
    assert shown() == [("198.51.100.7", "Lynx/2")]


def test_a_refresh_token_used_twice_is_in_the_security_log(service, capsys):
    service.owner()
    first = service.log_in(OLGA)
    _refresh(service, first["refresh_token"])
    service.clock.advance(seconds=11)
    log.start(service="membership")
    _refresh(service, first["refresh_token"])

    logged = capsys.readouterr().err
    assert f'"session_id": "{service.claims(first["access_token"])["sid"]}"' in logged
    assert '"event": "security.refresh_token_reused"' in logged
    assert '"event": "security.unauthenticated"' in logged
    assert first["refresh_token"] not in logged


@pytest.mark.parametrize("token", ["", "x", "\u0000", "a" * 1024])
def test_an_invalid_refresh_token(service, token):
    answer = service.call("POST", "/v1/sessions/refresh", {"refresh_token": token})
    assert answer.status_code in (401, 422)


def test_an_idle_session_ends(service):
    service.owner()
    token = service.log_in(OLGA)["refresh_token"]
    service.clock.advance(minutes=61)
    assert service.call("POST", "/v1/sessions/refresh", {"refresh_token": token}).status_code == 401


def test_a_session_ends_after_its_total_time(service):
    service.owner()
    token = service.log_in(OLGA)["refresh_token"]
    for _ in range(27):
        service.clock.advance(minutes=55)
        answer = service.call("POST", "/v1/sessions/refresh", {"refresh_token": token})
        token = answer.json.get("refresh_token")
    assert answer.status_code == 401


def test_signing_out_ends_only_that_session(service):
    _, token = service.owner()
    other = service.log_in(OLGA)
    listed = service.call("GET", "/v1/sessions", token=token).json["data"]
    assert len(listed) == 2 and [s["current"] for s in listed] == [False, True]
    assert service.call("DELETE", "/v1/sessions/current", token=token).status_code == 204
    assert service.is_revoked(token) and not service.is_revoked(other["access_token"])
    assert len(service.call("GET", "/v1/sessions", token=other["access_token"]).json["data"]) == 1


def test_people_can_end_only_their_own_sessions(service):
    _, token = service.owner()
    _, stranger = service.owner("sam@other.example", name="Other")
    sid = service.claims(stranger)["sid"]
    assert service.call("DELETE", f"/v1/sessions/{sid}", token=token).status_code == 404
    assert service.call("DELETE", "/v1/sessions/ses_x", token=token).status_code == 404
    assert not service.is_revoked(stranger)


def test_an_exchange_begins_a_session_elsewhere_and_keeps_the_old_one(service):
    first_id, token = service.owner()
    second_id = service.customer(OLGA, name="Second")
    assert (
        service.call(
            "POST", "/v1/sessions/exchange", {"organization_id": second_id}, token=token
        ).status_code
        == 403
    )
    service.accept(OLGA)
    entered = service.call(
        "POST", "/v1/sessions/exchange", {"organization_id": second_id}, token=token
    )
    assert (
        entered.status_code == 201
        and service.claims(entered.json["access_token"])["org"] == second_id
    )
    assert not service.is_revoked(token)
    stranger_id = service.customer("sam@other.example")
    assert (
        service.call(
            "POST", "/v1/sessions/exchange", {"organization_id": stranger_id}, token=token
        ).status_code
        == 404
    )
    mine = service.call("GET", "/v1/me/organizations", token=token).json
    assert {o["id"] for o in mine["own"]} == {first_id, second_id} and mine["serviced"] == []
    assert service.log_in(OLGA)["organization"]["id"] == second_id
    assert service.log_in(OLGA, organization_id=first_id)["organization"]["id"] == first_id
    assert service.log_in(OLGA)["organization"]["id"] == first_id


def test_an_exchange_neither_prolongs_a_login_nor_adds_a_code_to_it(service):
    provider_id = service.claims(service.provider())["org"]
    admin = "admin@example.com"
    customer_id = service.customer(admin, provider_id=provider_id)
    service.accept(admin)

    def enter(organization_id, token):
        body = {"organization_id": organization_id}
        answer = service.call("POST", "/v1/sessions/exchange", body, token=token)
        listed = service.call("GET", "/v1/sessions", token=token).json["data"]
        entered = answer.json["access_token"]
        ends = {one["id"]: one["expires_at"] for one in listed}
        return service.claims(entered), [ends[service.claims(t)["sid"]] for t in (token, entered)]

    staff = service.log_in(admin, organization_id=provider_id)["access_token"]
    service.clock.advance(minutes=3)
    _, (ends, entered_ends) = enter(customer_id, staff)
    assert entered_ends == ends, "sooner than a login to the customer would end"
    service.receive(
        org.SettingsChanged(provider_id=provider_id, version=1, settings={"mfa_required": True})
    )
    without_code = service.log_in(admin, organization_id=customer_id)["access_token"]
    claims, _ = enter(provider_id, without_code)
    assert claims["missing"] == "mfa_required"


def test_a_suspension_ends_sessions_and_refuses_logins(service):
    organization_id, token = service.owner()
    refresh = service.log_in(OLGA)["refresh_token"]
    service.receive(
        org.OrganizationSuspended(organization_id=organization_id, provider_id=organization_id)
    )
    assert service.is_revoked(token)
    refused = _try(service, "four calm otters drift")
    assert refused.status_code == 403 and refused.json["code"] == "organization_suspended"
    assert _try(service, "wrong").status_code == 401
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


def test_nobody_logs_in_before_the_organization_is_ready(service):
    organization_id = ids.new("org")
    service.receive(
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
    service.accept(OLGA)
    assert _try(service, "four calm otters drift").status_code == 403
    service.receive(
        org.OrganizationActivated(organization_id=organization_id, provider_id=ids.new("org"))
    )
    service.log_in(OLGA)


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


def test_a_password_changed_while_the_old_one_is_checked(service):
    service.owner()

    class Slow(passwords.Hasher):
        def matches(self, kept, password):
            service.call("POST", "/v1/password-resets", {"email": OLGA})
            link = service.link(OLGA)
            assert (
                service.call("POST", f"/v1/password-resets/{link}", {"password": OTHER}).status_code
                == 201
            )
            return super().matches(kept, password)

    service.app.extensions["hasher"] = Slow(memory_kib=8, passes=1)
    assert _try(service, "four calm otters drift").status_code == 401


def test_idle_sessions_beyond_the_limit_end_but_none_in_use(service):
    service.owner()
    early = service.log_in(OLGA)
    service.clock.advance(minutes=10)
    busy = [service.log_in(OLGA) for _ in range(12)]
    refresh = {"refresh_token": early["refresh_token"]}
    assert service.call("POST", "/v1/sessions/refresh", refresh).status_code == 401
    assert not any(service.is_revoked(s["access_token"]) for s in busy)


def test_a_stronger_hash_is_made_on_login(service):
    service.owner()
    service.app.extensions["hasher"] = passwords.Hasher(memory_kib=16, passes=1)
    service.log_in(OLGA)
    with service.database.reading() as session:
        kept = session.scalar(
            select(models.Identity.password_hash).where(models.Identity.email == OLGA)
        )
    assert "m=16,t=1" in kept
    service.log_in(OLGA)


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


def test_the_provider_is_created_once(service):
    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(lambda _: application.bootstrap(service.settings, service.database), range(4))
        )
    assert [m for m in made if m] == [("admin@example.com", None)]
    created = service.published(messages.ProviderCreated)
    assert len(created) == 1 and created[0].owner.verified
    assert service.log_in("admin@example.com")["role"] == "owner"


def test_without_a_password_in_the_settings_one_is_generated(database: Database, service):
    login = application.bootstrap(
        dataclasses.replace(service.settings, clientele_admin_password=""), database
    )
    assert login.password and len(login.password) >= 16
    service.log_in(login.email, login.password)


def test_another_provider_is_created_once_and_a_known_person_keeps_their_password(service) -> None:
    settings = dataclasses.replace(
        service.settings,
        clientele_provider_name="Second",
        clientele_admin_email="second@provider.example",
        clientele_admin_password="",
    )

    first = application.add_provider(settings, service.database)
    again = application.add_provider(
        dataclasses.replace(settings, clientele_provider_name="Third"), service.database
    )

    assert first.password and again.password is None
    assert service.log_in("second@provider.example", first.password)["role"] == "owner"
    with pytest.raises(providers.ProviderExists):
        application.add_provider(settings, service.database)


def test_a_login_removed_while_it_waited_gets_no_session(service):
    """The membership was read before its rows were locked and is another person's by then."""
    service.owner()
    with service.database.transaction() as session:
        member = session.scalars(
            select(models.Member).where(models.Member.email == "olga@customer.example")
        ).one()
        membership = queries.membership(session, member.id)
        assert sessions.lock_membership(session, membership, member.identity_id) is membership
        with pytest.raises(sessions.TokenRevoked):
            sessions.lock_membership(session, membership, ids.new("idn"))
