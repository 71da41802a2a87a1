"""How several processes (``-n 2``) share the tests out: a file stays in one of them, and so does,
together, all that asks for the broker or starts whole systems.

(xdist's own groups are of no effect with this pytest: they change an attribute that is not read any
more.)"""

from collections.abc import Iterable

import pytest
from xdist.scheduler import LoadScopeScheduling

# The broker's own come first, for a whole system holds on to its users and queues.
BROKER = (
    "tests/billing/test_usage_messages.py",
    "tests/chassis/test_batches.py",
    "tests/chassis/test_bus.py",
    "tests/chassis/test_consumer.py",
)
SYSTEMS = ("tests/browser/", "tests/deploy/", "tests/faults/", "tests/journeys/")
LONG = ("tests/billing/ledger/test_state_machine.py",)


def turn(nodeid: str) -> int:
    """When a test's turn is: what takes longest comes first."""
    return next(
        (at for at, begins in enumerate((BROKER, SYSTEMS, LONG)) if nodeid.startswith(begins)), 3
    )


def astray(items: Iterable[pytest.Item]) -> list[str]:
    """Tests that ask for the broker, or a whole system on it, where others might use it at the same
    time."""
    return [
        item.nodeid
        for item in items
        if "rabbitmq" in getattr(item, "fixturenames", ())
        and not item.nodeid.startswith(BROKER + SYSTEMS)
    ]


class Sharing(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out files, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        return "systems" if nodeid.startswith(BROKER + SYSTEMS) else nodeid.partition("::")[0]
