"""The topology step lets no queue of ours give up messages, on every version of RabbitMQ."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from chassis.messaging import broker, topology
from chassis.runtime import cli
from devtools.ports import free_port
from org.app import SERVICE

LIMIT = {"delivery-limit": -1}
COMMAND = (
    "rabbitmqctl set_policy -p clientele --priority 10 --apply-to quorum_queues "
    """org-delivery-limit '^org\\.' '{"delivery-limit": -1}'"""
)


class ManagementApi(HTTPServer):
    """The part of the broker's management API that is used. ``policies`` by path; ``forbidden``:
    the login has no right to set policies."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.policies: dict[str, dict[str, Any]] = {}
        self.logins: set[str] = set()
        self.forbidden = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, name: str, pattern: str, definition: dict[str, Any], **other: Any) -> None:
        """A policy of the operator."""
        self.policies[f"/api/policies/clientele/{name}"] = {
            "name": name,
            "vhost": "clientele",
            "pattern": pattern,
            "definition": definition,
            "priority": 10,
            "apply-to": "all",
            **other,
        }


class _Handler(BaseHTTPRequestHandler):
    server: ManagementApi

    def do_PUT(self) -> None:
        policy = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self._admitted():
            self.server.add(self.path.rpartition("/")[2], **_keywords(policy))
            self._respond(201)

    def do_GET(self) -> None:
        if self._admitted():
            assert self.path == "/api/policies/clientele"
            self._respond(200, json.dumps(list(self.server.policies.values())).encode())

    def _admitted(self) -> bool:
        login = base64.b64decode(self.headers["authorization"].removeprefix("Basic ")).decode()
        self.server.logins.add(login)
        if self.server.forbidden:
            self._respond(401, b'{"error":"not_authorized","reason":"Not management user"}')
        return not self.server.forbidden

    def _respond(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _keywords(policy: dict[str, Any]) -> dict[str, Any]:
    assert policy.keys() == {"pattern", "definition", "priority", "apply-to"}
    return policy


@pytest.fixture
def api() -> Iterator[ManagementApi]:
    with ManagementApi() as server:
        threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        yield server
        server.shutdown()


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs ``python -m org topology`` on a broker of this version. Returns whether it declared
    anything; what it says goes to SystemExit."""

    def run(version: str, **settings: str) -> bool:
        declared: list[str] = []
        connection = SimpleNamespace(server_properties={"version": version})
        monkeypatch.setattr(
            broker,
            "connect",
            lambda *_, **__: nullcontext(SimpleNamespace(connection=connection)),
        )
        monkeypatch.setattr(topology, "declare", lambda url, *_, **__: declared.append(url))
        monkeypatch.setenv(
            "BROKER_ADMIN_URL", "amqp://admin:pa%2Fss@broker:5672/clientele;amqp://b:c@second/x"
        )
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["org", "topology"])
        cli.main(SERVICE)
        return bool(declared)

    return run


@pytest.mark.parametrize("version", ["4.0.5", "4.1.8", "10.0.0-rc.1"])
def test_from_version_4_on_a_policy_lifts_the_limit_of_deliveries(
    step: Any, api: ManagementApi, version: str
) -> None:
    assert step(version, BROKER_MANAGEMENT_URL=f"{api.url}/")
    assert step(version, BROKER_MANAGEMENT_URL=api.url), "it may be repeated"

    [policy] = api.policies.values()
    assert (policy["name"], policy["definition"]) == ("org-delivery-limit", LIMIT)
    assert (policy["pattern"], policy["apply-to"]) == (r"^org\.", "quorum_queues")
    assert api.logins == {"admin:pa/ss"}


@pytest.mark.parametrize("version", ["3.10.8", "3.13.7"])
def test_before_version_4_nothing_is_set(step: Any, api: ManagementApi, version: str) -> None:
    assert step(version, BROKER_MANAGEMENT_URL=api.url)

    assert api.policies == {}


def test_without_the_management_api_the_step_names_the_command(step: Any) -> None:
    with pytest.raises(SystemExit) as stopped:
        step("4.1.8")

    assert COMMAND in str(stopped.value)
    assert "BROKER_POLICY_SET=true" in str(stopped.value)


def test_an_operator_may_set_the_policy_instead(step: Any) -> None:
    assert step("4.1.8", BROKER_POLICY_SET="true")


def test_a_login_without_the_right_is_told_how_to_get_it(step: Any, api: ManagementApi) -> None:
    api.forbidden = True

    with pytest.raises(SystemExit, match="rabbitmqctl set_user_tags admin policymaker"):
        step("4.1.8", BROKER_MANAGEMENT_URL=api.url)


def test_a_management_api_that_does_not_respond_stops_the_step(step: Any) -> None:
    with pytest.raises(SystemExit, match=r"does not respond.*rabbitmq_management"):
        step("4.1.8", BROKER_MANAGEMENT_URL=f"http://127.0.0.1:{free_port()}")


def test_a_stronger_policy_of_the_operator_stops_the_step(step: Any, api: ManagementApi) -> None:
    api.add("everything", ".*", {"max-length": 5}, priority=10)
    api.add("of-the-last-queue", r"\.dead$", {"delivery-limit": 3}, priority=11)

    with pytest.raises(SystemExit, match="everything, of-the-last-queue"):
        step("4.1.8", BROKER_MANAGEMENT_URL=api.url)


def test_other_policies_of_the_operator_do_not_matter(step: Any, api: ManagementApi) -> None:
    api.add("weaker", ".*", {"max-length": 5}, priority=9)
    api.add("of-others", "^sub", {"max-length": 5})
    api.add("of-exchanges", ".*", {"alternate-exchange": "x"}, **{"apply-to": "exchanges"})
    api.add("stronger", ".*", {"max-length": 5, **LIMIT}, priority=20)

    assert step("4.1.8", BROKER_MANAGEMENT_URL=api.url)
