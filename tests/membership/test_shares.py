"""What one person, one network or one program may use of what all share: hashing, sessions,
re-authentication."""

from typing import Any

import pytest
from chassis.audit import AuditEntry
from contracts import org
from membership.actions import attempts
from membership.models import FailedAttempts, LoginSession
from membership.values import attempt_limits
from membership.values.attempt_limits import Limit
from membership.values.passwords import Hasher
from sqlalchemy import func, select

from tests.membership.conftest import PASSWORD, MembershipService

OLGA, PAUL = "olga@customer.example", "paul@customer.example"
Service = MembershipService


@pytest.fixture
def hasher(service: Service) -> Hasher:
    """A hasher with six slots, four of them for a network, two for a person."""
    made = Hasher(memory_kib=8, passes=1, capacity=6)
    service.app.extensions["hasher"] = made
    return made


def step_up(service: Service, token: str) -> Any:
    return service.call("POST", "/v1/me/step-up", {"password": PASSWORD}, token=token)


def log_in(service: Service, address: str = OLGA, network: str = "10.0.0.1") -> Any:
    body = {"email": address, "password": PASSWORD}
    return service.call("POST", "/v1/sessions", body, headers={"X-Forwarded-For": network})


def exchange(service: Service, token: str, organization_id: str) -> Any:
    return service.call(
        "POST", "/v1/sessions/exchange", {"organization_id": organization_id}, token=token
    )


def two_organizations(service: Service) -> tuple[str, str, str]:
    """A person's organizations, and their access token in the first."""
    first, token = service.owner()
    second = service.customer(name="Second")
    service.accept(OLGA, None)
    return first, second, token


def count(service: Service, *which: Any) -> int:
    with service.database.reading() as session:
        return session.scalar(select(func.count()).where(*which)) or 0


# --- hashing


def test_a_person_at_their_share_of_hashing_is_refused_and_others_are_not(
    service: Service, hasher: Hasher
) -> None:
    (_, token), (_, pauls) = service.owner(), service.owner(PAUL)
    olga = service.claims(token)["sub"]
    held = [hasher.take_slot({olga: 2}) for _ in range(2)]

    refused = step_up(service, token)
    changing = {"password": PASSWORD, "new_password": "some other calm otters"}
    refused_too = service.call("POST", "/v1/me/password", changing, token=token)

    for answer in (refused, refused_too):
        assert (answer.status_code, answer.json["code"]) == (429, "too_many_at_once")
        assert answer.headers["Retry-After"] == "1"
    assert step_up(service, pauls).status_code == 201
    assert log_in(service).status_code == 201, "signing in counts against the network"
    held[0].release()
    assert step_up(service, token).status_code == 201


def test_a_network_at_its_share_of_hashing_has_to_wait_and_others_do_not(
    service: Service, hasher: Hasher
) -> None:
    _, token = service.owner()
    held = [hasher.take_slot({"10.0.0.1": 4}) for _ in range(4)]

    busy = log_in(service)

    assert (busy.status_code, busy.json["code"]) == (503, "service_unavailable")
    assert busy.headers["Retry-After"] == "1"
    assert log_in(service, network="10.0.0.2").status_code == 201
    assert step_up(service, token).status_code == 201
    held[0].release()
    assert log_in(service).status_code == 201


def test_hashes_beyond_the_capacity_do_not_wait(service: Service, hasher: Hasher) -> None:
    held = [hasher.take_slot({f"idn_{number}": 2}) for number in range(6)]

    busy = log_in(service)

    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "1")
    assert len(held) == hasher.capacity
    assert service.call("GET", "/.well-known/jwks.json").status_code == 200


def test_a_refused_hash_counts_as_no_failed_attempt(service: Service, hasher: Hasher) -> None:
    service.owner()
    held = [hasher.take_slot({"10.0.0.1": 4}) for _ in range(4)]
    for _ in range(30):
        assert log_in(service).status_code == 503
    for slot in held:
        slot.release()

    assert log_in(service).status_code == 201


# --- sessions


def test_going_to_and_fro_uses_the_same_two_sessions(service: Service) -> None:
    first, second, token = two_organizations(service)
    rows = count(service, AuditEntry.action == "member.login")
    sessions = count(service, LoginSession.ended_at.is_(None))

    there = exchange(service, token, second).json
    for _ in range(3):
        back = exchange(service, there["access_token"], first).json
        there = exchange(service, back["access_token"], second).json

    assert service.claims(back["access_token"])["sid"] == service.claims(token)["sid"]
    assert count(service, LoginSession.ended_at.is_(None)) == sessions + 1
    assert count(service, AuditEntry.action == "member.login") == rows + 1


def test_another_login_has_sessions_of_its_own(service: Service) -> None:
    first, second, token = two_organizations(service)
    there = exchange(service, token, second).json["access_token"]
    other = service.log_in(OLGA, organization_id=first)["access_token"]

    others = exchange(service, other, second).json["access_token"]

    assert len({service.claims(each)["sid"] for each in (token, there, other, others)}) == 4


def test_an_ended_session_is_not_used_again(service: Service) -> None:
    _, second, token = two_organizations(service)
    there = exchange(service, token, second).json["access_token"]
    assert service.call("DELETE", "/v1/sessions/current", token=there).status_code == 204

    again = exchange(service, token, second).json["access_token"]

    assert service.claims(again)["sid"] != service.claims(there)["sid"]


def test_each_tab_can_refresh_a_session_that_both_use(service: Service) -> None:
    _, second, token = two_organizations(service)
    tabs = [exchange(service, token, second).json["refresh_token"] for _ in range(2)]

    for raw in tabs:
        renewed = service.call("POST", "/v1/sessions/refresh", {"refresh_token": raw})
        assert renewed.status_code == 201
        again = {"refresh_token": renewed.json["refresh_token"]}
        assert service.call("POST", "/v1/sessions/refresh", again).status_code == 201


def test_reauthentication_counts_in_a_session_that_is_used_again(service: Service) -> None:
    _, second, token = two_organizations(service)
    exchange(service, token, second)
    service.clock.advance(minutes=4)
    proved = step_up(service, token).json["access_token"]

    there = exchange(service, proved, second).json["access_token"]

    assert service.claims(there)["proved"] == service.claims(proved)["proved"]


@pytest.fixture
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EXCHANGES", "STEP_UPS", "NEW_SESSIONS"):
        limit = getattr(attempt_limits, name)
        monkeypatch.setattr(attempt_limits, name, Limit(3, limit.within))


@pytest.mark.parametrize("what", ["exchange", "step-up", "log-in"])
def test_what_a_person_does_often_is_limited_for_that_person(
    service: Service, low_limits: None, what: str
) -> None:
    (olgas, token), (pauls, other) = service.owner(), service.owner(PAUL)
    service.clock.advance(minutes=1, seconds=1)

    def act(address: str, organization_id: str, token: str) -> Any:
        if what == "exchange":
            return exchange(service, token, organization_id)
        return step_up(service, token) if what == "step-up" else log_in(service, address)

    statuses = [act(OLGA, olgas, token).status_code for _ in range(4)]
    refused = act(OLGA, olgas, token)

    assert statuses == [201, 201, 201, 429]
    assert refused.json["code"] == attempts.TooManyRequests.code
    assert int(refused.headers["Retry-After"]) >= 1
    assert act(PAUL, pauls, other).status_code == 201
    service.clock.advance(seconds=int(refused.headers["Retry-After"]))
    token = service.log_in(OLGA)["access_token"]
    assert act(OLGA, olgas, token).status_code == 201


def test_what_is_counted_for_a_person_is_erased_with_them(service: Service) -> None:
    organization_id, token = service.owner()
    olga = service.claims(token)["sub"]
    exchange(service, token, organization_id)
    step_up(service, token)
    counted = FailedAttempts.key.contains(olga)
    assert count(service, counted) == 3

    service.receive(org.EraseMembers(organization_id=organization_id, deletion_id="d"))

    assert count(service, counted) == 0


# --- mail and the audit log


def test_an_organization_at_its_share_of_mail_is_refused_and_others_are_not(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = attempt_limits.INVITATIONS_BY_ORGANIZATION
    monkeypatch.setattr(attempt_limits, "INVITATIONS_BY_ORGANIZATION", Limit(1, limit.within))
    (olgas, token), (pauls, other) = service.owner(), service.owner(PAUL)

    def invite(organization_id: str, token: str, address: str) -> Any:
        body = {"name": "Max Miller", "portal_access": True, "role": "member", "email": address}
        return service.call(
            "POST", f"/v1/organizations/{organization_id}/members", body, token=token
        )

    assert invite(olgas, token, "max@customer.example").status_code == 201
    refused = invite(olgas, token, "mia@customer.example")

    assert (refused.status_code, refused.json["code"]) == (429, "too_many_mails")
    assert int(refused.headers["Retry-After"]) >= 1
    assert invite(pauls, other, "mia@customer.example").status_code == 201


def test_what_is_denied_again_and_again_makes_one_row_a_minute_for_each_person(
    service: Service,
) -> None:
    (_, token), (_, other) = service.owner(), service.owner(PAUL)
    denied = AuditEntry.outcome == "denied"

    def try_(token: str) -> None:
        body = {"organization_id": service.claims(token)["org"], "extension": "1", "pin": "123456"}
        assert service.call("POST", "/v1/pins/verify", body, token=token).status_code == 403

    for _ in range(3):
        try_(token)
    assert count(service, denied) == 1
    try_(other)
    assert count(service, denied) == 2
    service.clock.advance(seconds=61)
    try_(token)
    assert count(service, denied) == 3
