"""How a session ends."""

from tests.membership.sessions.attempts import OLGA


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


def test_idle_sessions_beyond_the_limit_end_but_none_in_use(service):
    service.owner()
    early = service.log_in(OLGA)
    service.clock.advance(minutes=10)
    busy = [service.log_in(OLGA) for _ in range(12)]
    refresh = {"refresh_token": early["refresh_token"]}
    assert service.call("POST", "/v1/sessions/refresh", refresh).status_code == 401
    assert not any(service.is_revoked(s["access_token"]) for s in busy)
