"""Three private RabbitMQ nodes in a cluster, with the settings of the deployment, to try out the
loss of one."""

import json
import os
import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from devtools.servers.rabbitmq import VHOST, RabbitMQ

SETTINGS = Path(__file__).parents[4] / "deploy" / "rabbitmq" / "rabbitmq.conf"
# A private node has a listener and users of its own, and little disk is needed.
_OWN = ("listeners.", "load_definitions", "disk_free_limit", "log.")


class Node(RabbitMQ):
    """A node that joins ``first``, or the first one."""

    def __init__(self, cookie: str, first: RabbitMQ | None = None) -> None:
        super().__init__()
        self._cookie, self._first = cookie, first
        self.settings = deployed_settings()
        if first is not None:
            self.password, self.names_port = first.password, first.names_port
            self.settings |= {
                "cluster_formation.peer_discovery_backend": "classic_config",
                "cluster_formation.classic_config.nodes.1": first.name,
                "cluster_formation.classic_config.nodes.2": self.name,
            }

    def _configure(self) -> None:
        super()._configure()
        cookie = self.folder / "home" / ".erlang.cookie"
        cookie.touch(mode=0o600)
        cookie.write_text(self._cookie)
        cookie.chmod(0o400)
        os.chown(cookie, self._account.pw_uid, self._account.pw_gid)

    def _start_names(self) -> None:
        if self._first is None:
            super()._start_names()


class RabbitMQCluster:
    """Three nodes; each queue has a copy on each of them."""

    def __init__(self) -> None:
        cookie = secrets.token_hex(16)
        first = Node(cookie)
        self.nodes = [first, Node(cookie, first), Node(cookie, first)]
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for node in self.nodes:
                started.enter_context(node)
            self._running = started.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def url(self, *login: str) -> str:
        """Every node's URL, for the administrator unless a user and a password are given."""
        return ";".join(node.url(*login) for node in self.nodes)

    def create_service_users(self, *names: str) -> dict[str, str]:
        """The URLs for several services' users, created at once."""
        created = self.nodes[0].create_service_users(*names)
        passwords = {name: url.split(":")[2].partition("@")[0] for name, url in created.items()}
        return {name: self.url(name, password) for name, password in passwords.items()}

    def settle(self) -> None:
        """Return once the queues declared so far survive the loss of a node."""
        for node in self.nodes:
            node.settle()

    def busiest(self) -> RabbitMQ:
        """The node that leads most queues."""
        return max(self._alive(), key=lambda node: len(_led_by(node)))

    def depths(self) -> dict[str, int]:
        """Each queue that has a leader, with the number of its messages, also of those that a
        consumer holds."""
        return {name: depth for node in self._alive() for name, depth in _led_by(node).items()}

    def _alive(self) -> list[Node]:
        return [node for node in self.nodes if node.process is not None]


def _led_by(node: RabbitMQ) -> dict[str, int]:
    listed = node.rabbitmqctl(
        "list_queues", "--local", f"--vhost={VHOST}", "--formatter=json", "name", "messages"
    )
    return {queue["name"]: queue["messages"] for queue in json.loads(listed)}


def deployed_settings() -> dict[str, str]:
    """The deployment's settings, without those that name its files and ports."""
    lines = SETTINGS.read_text().splitlines()
    pairs = (line.split(" = ", 1) for line in lines if " = " in line and not line.startswith("#"))
    return {name: value for name, value in pairs if not name.startswith(_OWN)}
