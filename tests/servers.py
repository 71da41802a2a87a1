"""The PostgreSQL and RabbitMQ the tests run against, and a record of where each came from.

Containers where a Docker engine answers, else private servers of this machine (installed on the way
if they may be), else a failure that says what to do. Never skipped: what ran is in the summary of
the run.
"""

import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import docker  # type: ignore[import-untyped]
from devtools.servers import Postgres, RabbitMQ, postgres, rabbitmq
from testcontainers.core.container import DockerContainer, ExecConfig

from tests import summary

Server = TypeVar("Server", Postgres, RabbitMQ)

# Nothing here has to survive a crash of the machine. Killed processes still lose nothing that was
# committed, so tests that kill the server may use these too.
NO_SYNC = {"fsync": "off", "full_page_writes": "off"}

# One line for each server that was started in this run, and for each that was tried in vain.
record = summary.section("servers")


@contextmanager
def running(container: Callable[[], Server], private: Callable[[], Server]) -> Iterator[Server]:
    """A started server from the first source that has one; stopped at the end."""
    server = _started(container) if docker_answers() else None
    if server is None:
        server = _started_and_recorded(private())
    try:
        yield server
    finally:
        server.stop()


def docker_answers() -> bool:
    """Whether there is a Docker engine to ask; found out without waiting for one that is not
    there."""
    if not os.environ.get("DOCKER_HOST") and not Path("/var/run/docker.sock").exists():
        return False
    try:
        return bool(docker.from_env(timeout=2).ping())
    except (docker.errors.DockerException, OSError):
        return False


def _started(container: Callable[[], Server]) -> Server | None:
    """The container, or nothing where an engine answers but cannot run it (no registry, no
    room)."""
    server = container()
    try:
        return _started_and_recorded(server)
    except Exception as error:
        record.append(f"{server.source}: given up ({error})")
        server.stop()
        return None


def _started_and_recorded(server: Server) -> Server:
    begun = time.monotonic()
    server.start()
    record.append(
        f"{type(server).__name__}: {server.source}, started in {time.monotonic() - begun:.1f} s"
    )
    return server


class Container:
    """A container whose port stays the same when it is killed and started again."""

    def __init__(self, image: str, *, inside: int, outside: int) -> None:
        self.image = image
        self._inside = inside
        self.docker = DockerContainer(image).with_bind_ports(inside, outside)

    def start(self) -> tuple[str, int]:
        """Where the server can be reached, soon."""
        self.docker.start()
        return self.docker.get_container_host_ip(), self.docker.get_exposed_port(self._inside)

    def kill(self) -> None:
        self._engine.kill()
        self._engine.wait()

    def restart(self) -> None:
        self._engine.restart()

    def run(self, command: str, text: str) -> str:
        """The output of a shell command that reads the text and must succeed."""
        piped = ExecConfig(
            command=["sh", "-c", f'printf %s "$TEXT" | {command}'], environment={"TEXT": text}
        )
        result = self.docker.exec(piped)
        output = result.output.decode()
        if result.exit_code:
            raise RuntimeError(f"{command} failed: {output}")
        return output

    @property
    def _engine(self) -> Any:
        return self.docker.get_wrapped_container()


class PostgresContainer(Postgres):
    """The same PostgreSQL in a container."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(settings)
        self._container = Container("postgres:17-alpine", inside=5432, outside=self.port)

    @property
    def source(self) -> str:
        return f"container {self._container.image}"

    def start(self) -> Self:
        options = [
            word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")
        ]
        arguments = {"POSTGRES_INITDB_ARGS": "--data-checksums --locale=C.UTF-8"}
        self._container.docker.with_envs(POSTGRES_PASSWORD=self.password, **arguments).with_command(
            options
        )
        self.host, self.port = self._container.start()
        _await(self)
        return self

    def stop(self) -> None:
        self._container.docker.stop()

    def kill(self) -> None:
        self._container.kill()

    def restart(self) -> None:
        self._container.restart()
        _await(self)

    def psql(self, script: str, **variables: str) -> str:
        text = postgres.with_variables(script, variables)
        return self._container.run("psql -X -q -v ON_ERROR_STOP=1 -U postgres", text)


class RabbitMQContainer(RabbitMQ):
    """The same RabbitMQ in a container."""

    def __init__(self) -> None:
        super().__init__()
        self._container = Container("rabbitmq:4", inside=5672, outside=self.port)

    @property
    def source(self) -> str:
        return f"container {self._container.image}"

    def start(self) -> Self:
        settings = rabbitmq.SETTINGS | {
            "default_vhost": rabbitmq.VHOST,
            "default_user": rabbitmq.ADMIN,
            "default_pass": self.password,
        }
        text = rabbitmq.as_configuration(settings).encode()
        self._container.docker.with_copy_into_container(
            text, "/etc/rabbitmq/conf.d/90-clientele.conf"
        )
        self.host, self.port = self._container.start()
        _await(self)
        return self

    def stop(self) -> None:
        self._container.docker.stop()

    def kill(self) -> None:
        self._container.kill()

    def restart(self) -> None:
        self._container.restart()
        _await(self)

    def rabbitmqctl(self, *arguments: str, text: str = "") -> str:
        return self._container.run(shlex.join(["rabbitmqctl", *arguments]), text)


def _await(server: Postgres | RabbitMQ, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not server.answers():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{server.source} did not answer within {seconds:.0f} s")
        time.sleep(0.1)
