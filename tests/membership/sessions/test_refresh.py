"""A session is continued by its refresh token, which works once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from chassis.auth.encryption import DecryptionError, Encryption
from chassis.runtime import clock, log
from membership import jobs, models
from membership.actions import refreshes
from sqlalchemy import select

from tests.membership.sessions.attempts import OLGA

pytestmark = pytest.mark.both_databases


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
    other = Encryption(answer["refresh_token"], purpose=refreshes.ANSWER)
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
