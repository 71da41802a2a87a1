"""The policy by which RabbitMQ 4 and later keeps messages that are delivered again and again.

From version 4 on, a quorum queue without a limit of its own discards or dead-letters a message that
was delivered more than 20 times, and what is discarded from the last queue is lost. Older versions
have no limit and do not accept -1."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from kombu.utils.url import parse_url
from urllib3.util import make_headers

from chassis.errors import Unavailable
from chassis.http.transport import HttpTransport
from chassis.messaging import broker
from chassis.runtime.settings import Misconfigured, Secret

FIRST_WITH_LIMIT = 4
LIMIT = {"delivery-limit": -1}
# One policy holds for a queue: the one with the highest priority.
PRIORITY = 10


@dataclass(frozen=True, kw_only=True)
class BrokerSettings:
    """How the topology step reaches the broker.

    ``broker_admin_url``: its administrator; ``inbox_queues``: the number of queues of the service's
    inbox; ``broker_management_url``: its management API,
    ``http(s)://host:port``, where the same login is used; ``broker_policy_set``: the operator has
    set the policy; ``tls_authorities``: the file with the authorities that certify the management
    API, for https."""

    broker_admin_url: Secret
    inbox_queues: int = 8
    broker_management_url: str = ""
    broker_policy_set: bool = False
    tls_authorities: str = ""


def keep_all_messages(service: str, settings: BrokerSettings) -> None:
    """Set the policy for the queues of the service if the broker needs it. Raises Misconfigured,
    which says what to do, if that is not possible."""
    if settings.broker_policy_set or _version(service, settings) < FIRST_WITH_LIMIT:
        return
    policy = _Policy(service, str(parse_url(_first_node(settings))["virtual_host"]))
    if not settings.broker_management_url:
        raise Misconfigured(
            f"RabbitMQ {FIRST_WITH_LIMIT} and later discards messages after 20 deliveries unless a "
            "policy forbids it. Set BROKER_MANAGEMENT_URL to its management API, or set the policy "
            f"yourself, then BROKER_POLICY_SET=true:\n  {policy.command()}"
        )
    api = _ManagementApi(settings)
    api.call("PUT", f"policies/{policy.path}", policy.as_json())
    policies = api.call("GET", f"policies/{quote(policy.vhost, safe='')}")
    if stronger := policy.hidden_by(policies):
        raise Misconfigured(
            f"The policies {', '.join(stronger)} of the broker hide the policy {policy.name}. Give "
            f"them a priority below {PRIORITY}, or add delivery-limit -1 to their definitions."
        )


@dataclass(frozen=True)
class _Policy:
    """The policy for the queues of a service."""

    service: str
    vhost: str

    @property
    def name(self) -> str:
        return f"{self.service}-delivery-limit"

    @property
    def pattern(self) -> str:
        return rf"^{self.service}\."

    @property
    def path(self) -> str:
        return f"{quote(self.vhost, safe='')}/{self.name}"

    def as_json(self) -> dict[str, Any]:
        return {
            "pattern": self.pattern,
            "definition": LIMIT,
            "priority": PRIORITY,
            "apply-to": "quorum_queues",
        }

    def command(self) -> str:
        """How an operator sets it."""
        return (
            f"rabbitmqctl set_policy -p {self.vhost} --priority {PRIORITY} --apply-to quorum_queues"
            f" {self.name} '{self.pattern}' '{json.dumps(LIMIT)}'"
        )

    def hidden_by(self, policies: Iterable[Mapping[str, Any]]) -> list[str]:
        """The names of other policies that hold for queues of the service instead of this one."""
        queues = [f"{self.service}.{queue}" for queue in ("dead", "inbox", "inbox.8.0")]
        return [
            policy["name"]
            for policy in policies
            if policy["name"] != self.name
            and policy["priority"] >= PRIORITY
            and policy["apply-to"] in ("all", "queues", "quorum_queues")
            and not LIMIT.items() <= policy["definition"].items()
            and any(re.search(policy["pattern"], queue) for queue in queues)
        ]


class _ManagementApi:
    """The broker's management API, with the login of its administrator."""

    def __init__(self, settings: BrokerSettings) -> None:
        at = parse_url(_first_node(settings))
        self._user = at["userid"]
        self._url = settings.broker_management_url
        self._headers = {
            **make_headers(basic_auth=f"{at['userid']}:{at['password']}"),
            "content-type": "application/json",
        }
        self._transport = HttpTransport(self._url, authorities=settings.tls_authorities)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request; its response. Raises Misconfigured."""
        content = None if body is None else json.dumps(body).encode()
        try:
            response = self._transport.send(method, f"/api/{path}", self._headers, content)
        except Unavailable as problem:
            raise Misconfigured(
                f"BROKER_MANAGEMENT_URL: {self._url} does not respond: {problem.__cause__}. Is the "
                "plugin rabbitmq_management enabled?"
            ) from problem
        if response.status == 401:
            raise Misconfigured(
                f"BROKER_MANAGEMENT_URL: {self._user} may not set policies. Let it: "
                f"rabbitmqctl set_user_tags {self._user} policymaker"
            )
        if response.status >= 300:
            raise Misconfigured(
                f"BROKER_MANAGEMENT_URL: {method} /api/{path} returned {response.status}: "
                f"{response.body[:500].decode(errors='replace')}"
            )
        return response.json() if response.body else None


def _version(service: str, settings: BrokerSettings) -> int:
    """The first number of the broker's version."""
    with broker.connect(settings.broker_admin_url, f"{service}-topology") as connection:
        version = connection.connection.server_properties["version"]
    return int(version.partition(".")[0])


def _first_node(settings: BrokerSettings) -> str:
    # Concatenated parts of a Secret are plain strings.
    return settings.broker_admin_url.partition(";")[0].partition("?")[0]
