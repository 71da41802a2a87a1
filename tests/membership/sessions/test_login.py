"""How a session begins, and what happens when it does not."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from chassis.runtime import clock, ids
from contracts import membership as messages
from contracts import org
from membership import jobs, models, queries
from membership.actions import sessions
from membership.values import passwords
from sqlalchemy import select

from tests.membership.sessions.attempts import OLGA, attempt
from tests.membership.test_security import with_codes

pytestmark = pytest.mark.both_databases


OTHER = "seven quiet herons wait"


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


@pytest.mark.parametrize(
    "body",
    [
        {"email": OLGA, "password": "\0"},
        {"email": OLGA, "password": "four calm otters drift", "otp": "\0"},
        {"api_key": "\0"},
        {"api_key": "ck_\0.\0"},
    ],
    ids=["password", "otp", "api_key", "parts of api_key"],
)
def test_credentials_with_nul_are_wrong_ones(service, body):
    token = with_codes(service)[0]
    assert service.call("POST", "/v1/sessions", body).status_code == 401
    step_up = {"password": "four calm otters drift", "otp": "\0"}
    assert service.call("POST", "/v1/me/step-up", step_up, token=token).status_code < 500


def test_a_wrong_password_and_an_unknown_address_get_the_same_response_and_work(service):
    service.owner()
    worked = []

    class Spy(passwords.Hasher):
        def matches(self, kept, password):
            worked.append(password)
            return super().matches(kept, password)

    service.app.extensions["hasher"] = Spy(memory_kib=8, passes=1)
    known, unknown = (
        attempt(service, "wrong wrong wrong"),
        attempt(service, "wrong wrong wrong", "nobody@customer.example"),
    )
    assert known.status_code == unknown.status_code == 401
    assert known.json["code"] == "invalid_credentials"
    assert {**known.json, "instance": ""} == {**unknown.json, "instance": ""}
    assert len(worked) == 2


@pytest.mark.parametrize("address", [OLGA, "nobody@customer.example"])
@pytest.mark.usefixtures("stopped_clock")
def test_the_delay_grows_from_the_fifth_failure(service, address):
    service.owner()
    assert [attempt(service, f"wrong {n}", address).status_code for n in range(5)] == [401] * 5
    refused = attempt(service, PASSWORD_OF.get(address, "x"), address)
    assert refused.status_code == 429 and refused.headers["Retry-After"] == "1"
    assert refused.json["code"] == "too_many_attempts"
    service.clock.advance(seconds=1.1)
    assert attempt(service, "wrong again", address).status_code == 401
    assert attempt(service, "wrong again", address).headers["Retry-After"] == "2"
    service.clock.advance(seconds=2.1)
    if address == OLGA:
        service.log_in(OLGA)
        assert attempt(service, "wrong").status_code == 401
        assert attempt(service, "wrong").status_code == 401


PASSWORD_OF = {OLGA: "four calm otters drift"}


@pytest.mark.usefixtures("stopped_clock")
def test_another_spelling_of_an_address_counts_as_the_same(service):
    service.owner()
    for spelling in ("OLGA@customer.example", " olga@Customer.example", OLGA, OLGA.upper(), OLGA):
        assert attempt(service, "wrong", spelling).status_code == 401
    assert attempt(service, "wrong", "Olga@Customer.Example").status_code == 429


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
        attempt(service, "wrong")
        attempt(service, "wrong", "nobody@customer.example")
    assert jobs.report_failed_attempts(service.database, clock.now(), service.settings) == 2
    denied = [m for m in service.published(messages.AuditRecorded) if m.outcome == "denied"]
    assert [m.changes[0]["after"] for m in denied] == [3]
    assert jobs.report_failed_attempts(service.database, clock.now(), service.settings) == 0


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
    assert attempt(service, "four calm otters drift").status_code == 403
    service.receive(
        org.OrganizationActivated(organization_id=organization_id, provider_id=ids.new("org"))
    )
    service.log_in(OLGA)


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
    assert attempt(service, "four calm otters drift").status_code == 401


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
