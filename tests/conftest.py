"""One PostgreSQL and one RabbitMQ for each worker, started when the first test asks for them.

What takes long to import is imported by the fixture that needs it, so that one file of tests starts
soon."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests import distribution, extent, summary

if TYPE_CHECKING:
    from devtools.processes import System
    from devtools.servers import Postgres, RabbitMQ

# Closed after the last test that may need it: what is idle still takes processor time.
COSTLY = pytest.StashKey[ExitStack]()

# Some environments forbid compiled modules; every process that a test starts would then compile
# all of its imports, which takes longer than most tests.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """An empty PostgreSQL; `postgres.fresh_database("org")` makes a service's database in it."""
    from devtools.servers import Postgres

    from tests import servers

    with servers.running(
        lambda: servers.PostgresContainer(servers.NO_SYNC), lambda: Postgres(servers.NO_SYNC)
    ) as server:
        yield server


@pytest.fixture(scope="session")
def costly(request: pytest.FixtureRequest) -> ExitStack:
    """Closes what is entered here once no test needs the broker, a whole system or a browser."""
    return request.session.stash.setdefault(COSTLY, ExitStack())


@pytest.fixture(scope="session")
def rabbitmq(costly: ExitStack) -> RabbitMQ:
    """An empty RabbitMQ; `rabbitmq.create_service_users("org", ...)` makes the services' users in
    it."""
    from devtools.servers import RabbitMQ

    from tests import servers

    return costly.enter_context(servers.running(servers.RabbitMQContainer, RabbitMQ))


@pytest.fixture(scope="session")
def system(
    costly: ExitStack,
    postgres: Postgres,
    rabbitmq: RabbitMQ,
    tmp_path_factory: pytest.TempPathFactory,
) -> System:
    """Every role of every service as a process of its own, on the real database and the real
    broker."""
    from devtools.processes import System

    fleet = System(
        postgres, rabbitmq, tmp_path_factory.mktemp("system"), settings={"LOG_LEVEL": "INFO"}
    )
    fleet.prepare()
    rabbitmq.settle()
    costly.callback(fleet.kill_all)
    fleet.start()
    fleet.await_ready()
    return fleet


def pytest_addoption(parser: pytest.Parser) -> None:
    """``make test-all`` passes this."""
    parser.addoption(
        "--exhaustive",
        action="store_true",
        help="also run what is marked exhaustive, and every test on each database it knows",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only `make test-all` runs; order what several workers share."""
    if misplaced := distribution.misplaced(items):
        raise pytest.UsageError(
            f"these need the broker: name their files in tests/distribution.py: {misplaced}"
        )
    if not config.getoption("exhaustive"):
        extent.reduce(config, items)
    for item in items:
        if "chromium" in getattr(
            item, "fixturenames", ()
        ):  # the first of them may have to install it
            item.add_marker(pytest.mark.timeout(600))
    items.sort(key=lambda item: distribution.turn(item.nodeid))


def pytest_collection_finish() -> None:
    """Logged exceptions are rendered as plain text. Where rich is installed, structlog would render
    the local variables of every frame, which takes longer than most tests."""
    import structlog

    *usual, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(processors=[*usual, plain])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> distribution.Distribution:
    """Divide the tests among the workers in that order."""
    config.option.loadscopereorder = False
    return distribution.Distribution(config, log)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the broker, systems and browsers after the last test that may need them."""
    if COSTLY in item.session.stash and not distribution.is_costly(nextitem):
        item.session.stash[COSTLY].close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker hands over what it has to report."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["summary"] = summary.sections


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker has to report."""
    for name, lines in getattr(node, "workeroutput", {}).get("summary", {}).items():
        summary.section(name).extend(lines)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what the tests ran against, by which seeds, and how much was tried; at the end, how
    many ran and how long they took."""
    for name, lines in summary.sections.items():
        if lines and name != "servers":
            terminalreporter.section(name)
            for line in lines:
                terminalreporter.write_line(line)
    terminalreporter.section("run")
    for line in summary.of_the_run(terminalreporter):
        terminalreporter.write_line(line)
