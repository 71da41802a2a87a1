"""A private RabbitMQ of one node, with quorum queues and restricted users, removed when stopped."""

import json
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Self

import amqp
from clientele import registry
from contracts import OUTSIDERS

from devtools import ports
from devtools.servers import installation, processes

VHOST = "clientele"
ADMIN = "admin"
SETTINGS = {
    "heartbeat": "30",
    "channel_max": "16",
    "consumer_timeout": "300000",
    "max_message_size": "1048576",
}
ONE_QUIET_THREAD = "+S 1:1 +SDcpu 1:1 +SDio 1 +A 1 +sbwt none"
LOOPBACK_ONLY = "-kernel inet_dist_use_interface {127,0,0,1}"
PLUGINS = "[rabbitmq_consistent_hash_exchange].\n"


class RabbitMQ:
    """RabbitMQ on free loopback ports with its own name service, its data in a temporary folder."""

    def __init__(self) -> None:
        self.host = ports.LOOPBACK
        self.port = ports.free_port()
        self.password = secrets.token_hex(16)
        self.name = f"clientele-{secrets.token_hex(4)}@localhost"
        self.names_port = ports.free_port()
        self.settings: dict[str, str] = dict(SETTINGS)
        self.folder = Path()
        self.process: subprocess.Popen[bytes] | None = None
        self._names: subprocess.Popen[bytes] | None = None
        self._account = processes.account_for("rabbitmq")

    @property
    def source(self) -> str:
        return f"private server from {self._scripts}"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Make an empty broker and wait until the administrator can log in."""
        self._scripts = installation.rabbitmq_scripts()
        self.folder = processes.private_folder("clientele-rabbitmq-", self._account)
        try:
            self._environment = self._script_environment()
            self._configure()
            self._launch()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the broker and its name service, and remove its data."""
        self.kill()
        if self._names:
            processes.kill(self._names)
            self._names = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """kill -9 to every process of the node; the data stays for `restart`."""
        if self.process:
            processes.kill(self.process)
            self.process = None

    def restart(self) -> None:
        """Start again on the same data and port, whether it was killed or still runs."""
        self._end()
        self._launch()

    def url(self, user: str = ADMIN, password: str | None = None) -> str:
        """The broker's URL, for the administrator unless a user is named."""
        return f"amqp://{user}:{password or self.password}@{self.host}:{self.port}/{VHOST}"

    def create_service_users(self, *names: str) -> dict[str, str]:
        """The URLs for several services' users, created at once."""
        passwords = {name: secrets.token_hex(16) for name in names}
        self.rabbitmqctl(
            "import_definitions", "--format", "json", text=json.dumps(definitions(passwords))
        )
        return {name: self.url(name, password) for name, password in passwords.items()}

    def settle(self) -> None:
        """Return once the queues declared so far survive `kill`.

        The broker writes down the name of a new quorum queue up to a second late. Killed before
        that, it comes back with the queue empty and permanently without a leader.
        """
        self.rabbitmqctl("eval", "ok = dets:sync(ra_directory_reverse).")

    def rabbitmqctl(self, *arguments: str, text: str = "") -> str:
        """Run the broker's command line tool."""
        command = [str(self._scripts / "rabbitmqctl"), *arguments]
        return processes.run(
            command, environment=self._environment, account=self._account, text=text
        )

    def answers(self) -> bool:
        """Whether the administrator can log in."""
        try:
            with amqp.Connection(
                f"{self.host}:{self.port}",
                ADMIN,
                self.password,
                virtual_host=VHOST,
                connect_timeout=2,
            ):
                return True
        except (OSError, amqp.AMQPError):
            return False

    def _script_environment(self) -> dict[str, str]:
        """The settings that the scripts would otherwise share with the machine's own instance."""
        paths = {
            "HOME": "home",
            "RABBITMQ_CONF_ENV_FILE": "environment.conf",
            "RABBITMQ_CONFIG_FILE": "rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": "advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": "enabled_plugins",
            "RABBITMQ_GENERATED_CONFIG_DIR": "config",
            "RABBITMQ_SCHEMA_DIR": "schema",
            "RABBITMQ_MNESIA_BASE": "data",
            "RABBITMQ_LOG_BASE": "log",
            "RABBITMQ_PID_FILE": "pid",
        }
        return {name: str(self.folder / path) for name, path in paths.items()} | {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": self.host,
            "ERL_EPMD_PORT": str(self.names_port),
            "RABBITMQ_DIST_PORT": str(ports.free_port()),
            "RABBITMQ_NODENAME": self.name,
            # The script then becomes the node instead of staying its parent, to be killed with it.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-noinput {ONE_QUIET_THREAD} {LOOPBACK_ONLY}",
            "RABBITMQ_CTL_ERL_ARGS": LOOPBACK_ONLY,
        }

    def _configure(self) -> None:
        settings = self.settings | {
            "listeners.tcp.loopback": f"{self.host}:{self.port}",
            "default_vhost": VHOST,
            "default_user": ADMIN,
            "default_pass": self.password,
            "log.console": "true",
            "log.file": "false",
        }
        (self.folder / "rabbitmq.conf").write_text(as_configuration(settings))
        (self.folder / "enabled_plugins").write_text(PLUGINS)
        (self.folder / "environment.conf").touch()
        (self.folder / "home").mkdir()
        os.chown(self.folder / "home", self._account.pw_uid, self._account.pw_gid)
        self._start_names()

    def _start_names(self) -> None:
        port = str(self.names_port)
        self._names = self._child(["epmd", "-port", port, "-address", self.host])

    def _launch(self) -> None:
        self.process = self._child([str(self._scripts / "rabbitmq-server")])
        processes.await_ready(self.process, self.answers, log=self.folder / "server.log")

    def _child(self, command: list[str]) -> subprocess.Popen[bytes]:
        return processes.launch(
            command,
            environment=self._environment,
            account=self._account,
            log=self.folder / "server.log",
            when_orphaned="TERM",
        )

    def _end(self) -> None:
        if self.process:
            processes.end(self.process, signal.SIGTERM)
            self.process = None


def definitions(passwords: dict[str, str]) -> dict[str, Any]:
    """The users as the broker imports them.

    Each publishes to the exchange of its name. A service reads its own queues and deletes those of
    an earlier layout; an external producer reads none.
    """
    rights = {name: _rights(name) for name in passwords}
    return {
        "users": [
            {"name": name, "password": password, "tags": ""} for name, password in passwords.items()
        ],
        "permissions": [
            {"user": name, "vhost": VHOST, "configure": old, "write": f"^{name}$", "read": own}
            for name, (own, old) in rights.items()
        ],
    }


def _rights(name: str) -> tuple[str, str]:
    """The queues that the user reads, and those that it deletes."""
    if name in OUTSIDERS:
        return "^$", "^$"
    entry = registry.entries().get(name)
    producers = entry.queues if entry else ()
    old = "|".join(("inbox", r"inbox\.[0-9]+\.[0-9]+", *producers))
    batches = "".join(rf"|batches\.{producer}" for producer in producers)
    return rf"^{name}\.({old}|dead{batches})$", rf"^{name}\.({old})$"


def as_configuration(settings: dict[str, str]) -> str:
    """The text of a `rabbitmq.conf`."""
    return "".join(f"{name} = {value}\n" for name, value in settings.items())
