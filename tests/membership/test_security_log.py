"""What is refused for the sake of security is in the log, under stable names."""

import json

import pytest
from chassis.runtime import ids, log

OLGA = "olga@customer.example"
CLIENT = "203.0.113.7"


@pytest.fixture
def refused(service, capsys):
    """The lines of the security log about one request."""

    def ask(method, path, body=None, token=""):
        log.start(service="membership")
        capsys.readouterr()
        headers = {"X-Forwarded-For": CLIENT}
        answer = service.call(method, path, body, token=token, headers=headers)
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        return answer.status_code, [
            {name: line.get(name) for name in ("event", "code", "client", "caller")}
            for line in lines
            if line["event"].startswith("security.")
        ]

    return ask


def line(event, code, caller=None):
    return {"event": f"security.{event}", "code": code, "client": CLIENT, "caller": caller}


@pytest.mark.usefixtures("stopped_clock")
def test_failed_and_throttled_sign_ins(service, refused):
    service.owner()
    body = {"email": OLGA, "password": "a wrong one"}

    for _ in range(5):
        failed = refused("POST", "/v1/sessions", body)
    throttled = refused("POST", "/v1/sessions", body)

    assert failed == (401, [line("unauthenticated", "invalid_credentials")])
    assert throttled == (429, [line("throttled", "too_many_attempts")])


def test_what_is_not_allowed_and_what_belongs_to_others(service, refused):
    organization_id, token = service.owner()
    others_id = service.customer("nina@new.example")
    caller = service.claims(token)["sub"]

    for unknown in (others_id, ids.new("org")):
        assert refused("GET", f"/v1/organizations/{unknown}/members", token=token) == (
            404,
            [line("foreign_organization", "not_found", caller)],
        )
    members = f"/v1/organizations/{organization_id}/members"
    assert refused("GET", f"{members}/{ids.new('mem')}", token=token)[1] == []
    path = f"/v1/organizations/{organization_id}/remote-support"
    status, lines = refused("POST", path, {"reason": "x", "access": "read"}, token)
    assert (status, [one["event"] for one in lines]) == (403, ["security.forbidden"])
