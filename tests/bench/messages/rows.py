"""The measurements of consuming: one row of the table each."""

import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from chassis.runtime import clock
from contracts import Message, billing

from tests.bench.messages import bare, listeners
from tests.bench.messages.environment import Environment
from tests.bench.messages.listeners import Result

BALANCES = "org, balances of many customers, one listener"


class Sizes(NamedTuple):
    """``backlog``: how many messages wait when a listener starts; ``seconds``: how long it
    consumes at most."""

    backlog: int
    seconds: float


class Row(NamedTuple):
    """``target``: messages per second, or, relative to the row of that name, a factor."""

    name: str
    measure: Callable[[Environment, Sizes], Result]
    target: float | None = None
    relative_to: str = ""


def publish_balances(environment: Environment, count: int) -> None:
    """Clear everything, then prepare a backlog of balances for org."""
    environment.clear()
    environment.publish("billing", balances(environment, count))


def balances(environment: Environment, count: int) -> Iterator[Message]:
    """Figures of customers in random order, as billing publishes them after charges."""
    for _ in range(count):
        figure = f"{random.randrange(10**6)}.{random.randrange(100):02}"
        yield billing.BalanceChanged(
            organization_id=random.choice(environment.organizations),
            provider_id=environment.provider_id,
            currency="EUR",
            payment_mode="prepaid",
            status="open",
            usable_credits=figure,
            balance=figure,
            credit_limit="0.00",
            reserved_credits="0.00",
            amount_due="0.00",
            days_to_empty=random.randrange(400),
            as_of=clock.stamp(clock.now()),
        )


def _bare(batch: int) -> Callable[[Environment, Sizes], Result]:
    def measure(environment: Environment, sizes: Sizes) -> Result:
        publish_balances(environment, min(sizes.backlog, 1000))
        some = environment.bodies("billing", 1000)
        bodies = [some[number % len(some)] for number in range(sizes.backlog)]
        return bare.consume(environment, bodies, batch)

    return measure


def _balances(processes: int) -> Callable[[Environment, Sizes], Result]:
    def measure(environment: Environment, sizes: Sizes) -> Result:
        publish_balances(environment, sizes.backlog)
        return listeners.consume(environment, "org", processes, *sizes)

    return measure


ROWS: tuple[Row, ...] = (
    Row("kombu alone, each acknowledged", _bare(1)),
    Row("kombu alone, a hundred at once acknowledged", _bare(100)),
    Row(BALANCES, _balances(1), 600),
    Row("org, balances of many customers, two listeners", _balances(2), 1.3, BALANCES),
)
