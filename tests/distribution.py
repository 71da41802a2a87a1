"""How several workers (``-n 3``) divide the tests: a file stays with one worker, and so does, as a
group, all that needs the broker, all that needs a browser, and what shares a costly preparation.

(xdist's own groups have no effect with this pytest: they change an attribute that is no longer
read.)"""

from collections.abc import Iterable

import pytest
from xdist.scheduler import LoadScopeScheduling

# The tests of the broker itself come first, because a whole system keeps its users and queues.
BROKER = (
    "tests/billing/test_usage_messages.py",
    "tests/chassis/test_batches.py",
    "tests/chassis/test_bus.py",
    "tests/chassis/test_consumer.py",
    "tests/chassis/test_partitions.py",
    "tests/chassis/test_tls.py",
    "tests/deploy/test_servers.py",
)
SYSTEMS = (
    "tests/faults/test_deletions_race_charges.py",
    "tests/faults/test_frozen_listener.py",
    "tests/faults/test_kill_a_web_worker.py",
    "tests/faults/test_kill_during_messaging.py",
    "tests/faults/test_leaked_secrets.py",
    "tests/faults/test_revocations.py",
    "tests/journeys/",
)
LAST_OF_SYSTEMS = ("tests/journeys/test_shutdown.py",)
BROWSER = ("tests/browser/",)
# In the id of a test of the browser that uses the distributed system.
ON_PROCESSES = "[processes]"
# The tests of one folder share a prepared system or copies of what was prepared before.
SHARED = ("tests/membership/", "tests/identity/", "tests/console/", "tests/org/")
# A worker is given two groups at once; what comes second is stuck behind the first, so it is short.
SHORT = ("tests/house/",)
LONG = ("tests/billing/ledger/", "tests/faults/", "tests/deploy/")
ORDER = (BROKER, SYSTEMS, LAST_OF_SYSTEMS, BROWSER, SHORT, *((folder,) for folder in SHARED), LONG)


def turn(nodeid: str) -> int:
    """The place of a test in the order: what takes longest comes first."""
    if nodeid.startswith(LAST_OF_SYSTEMS):
        return ORDER.index(LAST_OF_SYSTEMS)
    if _needs_broker(nodeid):
        return ORDER.index(BROKER if nodeid.startswith(BROKER) else SYSTEMS)
    return next(
        (place for place, begins in enumerate(ORDER) if nodeid.startswith(begins)), len(ORDER)
    )


def misplaced(items: Iterable[pytest.Item]) -> list[str]:
    """Tests that need the broker, or a whole system on it, but are not in the group of those."""
    return [
        item.nodeid
        for item in items
        if "rabbitmq" in getattr(item, "fixturenames", ()) and not _needs_broker(item.nodeid)
    ]


def is_costly(item: pytest.Item | None) -> bool:
    """Whether a test may need the broker, a whole system or a browser."""
    return item is not None and (_needs_broker(item.nodeid) or item.nodeid.startswith(BROWSER))


def _needs_broker(nodeid: str) -> bool:
    return nodeid.startswith(BROKER + SYSTEMS) or (
        nodeid.startswith(BROWSER) and nodeid.endswith(ON_PROCESSES)
    )


class Distribution(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out groups and files, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        if _needs_broker(nodeid):
            return "broker"
        if nodeid.startswith(BROWSER):
            return "browser"
        for folder in SHARED:
            if nodeid.startswith(folder):
                return folder
        return nodeid.partition("::")[0]
