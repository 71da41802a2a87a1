"""PostgreSQL and RabbitMQ once per run, started when the first test asks for them."""

from collections.abc import Iterator

import pytest
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the tests really ran against."""
    if servers.record:
        terminalreporter.section("servers")
        for line in servers.record:
            terminalreporter.write_line(line)
