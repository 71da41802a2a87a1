"""PostgreSQL and RabbitMQ once per run, started when the first test asks for them."""

from collections.abc import Iterator

import pytest
from clientele.processes import System
from clientele.servers import Postgres, RabbitMQ

from tests import servers


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """An empty PostgreSQL; `postgres.fresh_database("org")` makes a service's database in it."""
    with servers.running(servers.PostgresContainer, Postgres) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """An empty RabbitMQ; `rabbitmq.create_service_users("org", ...)` makes the services' users in it."""
    with servers.running(servers.RabbitMQContainer, RabbitMQ) as server:
        yield server


@pytest.fixture(scope="session")
def system(postgres: Postgres, rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Every role of every service as a process of its own, on the real database and the real broker."""
    fleet = System(postgres, rabbitmq, tmp_path_factory.mktemp("system"), settings={"LOG_LEVEL": "INFO"})
    fleet.prepare()
    rabbitmq.settle()
    try:
        fleet.start()
        fleet.await_ready()
        yield fleet
    finally:
        fleet.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the tests really ran against."""
    if servers.record:
        terminalreporter.section("servers")
        for line in servers.record:
            terminalreporter.write_line(line)
