"""The measurements of consuming: one row of the table each."""

from collections.abc import Callable
from typing import NamedTuple

from billing.models import Account
from sqlalchemy import func, select

from tests.bench.messages import backlogs, bare, listeners
from tests.bench.messages.environment import Environment
from tests.bench.messages.listeners import Result

BALANCES = "org: balances of many customers, 1 listener"
DRAIN_SECONDS = 240.0
# Usage is consumed several times as fast.
USAGE = 3


class Sizes(NamedTuple):
    """``backlog``: how many messages wait when a listener starts; ``seconds``: how long it
    consumes at most; ``drained``: how many wait in the row that consumes all of them."""

    backlog: int
    seconds: float
    drained: int


class Row(NamedTuple):
    """``target``: messages per second, or, relative to the row of that name, a factor. ``once``:
    measured in the last round only."""

    name: str
    measure: Callable[[Environment, Sizes], Result]
    target: float | None = None
    relative_to: str = ""
    once: bool = False


def _bare(batch: int) -> Callable[[Environment, Sizes], Result]:
    def measure(environment: Environment, sizes: Sizes) -> Result:
        backlogs.publish_balances(environment, 1000)
        some = environment.bodies("billing", 1000)
        bodies = [some[number % len(some)] for number in range(sizes.backlog)]
        return bare.consume(environment, bodies, batch)

    return measure


def _balances(processes: int) -> Callable[[Environment, Sizes], Result]:
    def measure(environment: Environment, sizes: Sizes) -> Result:
        backlog = backlogs.publish_balances(environment, sizes.backlog)
        return listeners.consume(environment, "org", processes, backlog, sizes.seconds)

    return measure


def _commands(environment: Environment, sizes: Sizes) -> Result:
    backlog = backlogs.publish_commands(environment, sizes.backlog // 2)
    return listeners.consume(environment, "billing", 1, backlog, sizes.seconds)


def _usage(environment: Environment, sizes: Sizes) -> Result:
    backlog = backlogs.publish_usage(environment, sizes.backlog * USAGE)
    before = _postings(environment)
    return listeners.consume(
        environment,
        "billing",
        1,
        backlog,
        sizes.seconds,
        count=lambda: _postings(environment) - before,
    )


def _postings(environment: Environment) -> int:
    """How many entries the accounts have."""
    with environment.databases["billing"].reading() as session:
        return int(session.scalars(select(func.sum(Account.seq))).one())


def _drain(environment: Environment, sizes: Sizes) -> Result:
    backlog = backlogs.publish_balances(environment, sizes.drained)
    return listeners.consume(environment, "org", 1, backlog, DRAIN_SECONDS)


ROWS: tuple[Row, ...] = (
    Row("kombu alone, each acknowledged", _bare(1)),
    Row("kombu alone, a hundred acknowledged at once", _bare(100)),
    Row(BALANCES, _balances(1), 600),
    Row("org: balances of many customers, 2 listeners", _balances(2), 1.3, BALANCES),
    Row("billing: commands and events of org, 1 listener", _commands),
    Row("billing: usage in batches, 1 listener", _usage),
    Row("org: drain of a large backlog, 1 listener", _drain, once=True),
)
