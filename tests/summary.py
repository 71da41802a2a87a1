"""What a run reports at its end, by section; each worker hands it to the process that started
it."""

import os
import time
from typing import Any

sections: dict[str, list[str]] = {}
_STARTED = time.monotonic()


def section(name: str) -> list[str]:
    """The lines of a section, to be added to."""
    return sections.setdefault(name, [])


def of_the_run(reporter: Any) -> list[str]:
    """How many tests ran, how long they took on the clock and on the processors (of this process
    and those it started, as far as they have ended), and on which servers."""
    results = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")
    count = sum(len(reporter.stats.get(result, ())) for result in results)
    used = os.times()
    processors = used.user + used.system + used.children_user + used.children_system
    return [
        f"{count} tests in {_minutes(time.monotonic() - _STARTED)}, "
        f"{_minutes(processors)} of processor time on {os.cpu_count()} cores",
        *(section("servers") or ["no servers were needed"]),
    ]


def _minutes(seconds: float) -> str:
    return f"{int(seconds // 60)} min {int(seconds % 60):02} s"
