"""``make bench-revocation``: how long the gateway accepts a token after the change that
revokes it was acknowledged.

Real processes, a private PostgreSQL and a private RabbitMQ; each kind of revocation is measured
ROUNDS times, first with the broker, then with the broker killed."""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from devtools.processes import System
from devtools.servers import Postgres, RabbitMQ

from tests.revocations import Scene

ROUNDS = int(os.environ.get("ROUNDS", "40"))
TARGETS = {"with the broker": 2.0, "broker killed": 5.0}


def main() -> None:
    began, folder = time.monotonic(), Path(tempfile.mkdtemp(prefix="clientele-bench-"))
    try:
        with Postgres() as postgres, RabbitMQ() as rabbitmq:
            system = System(postgres, rabbitmq, folder, settings={})
            try:
                system.prepare()
                system.start()
                system.await_ready()
                scene = Scene(system, times=2 * ROUNDS)
                print(
                    f"prepared in {time.monotonic() - began:.0f} s; {ROUNDS} rounds each, load"
                    f" average {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
                missed = _show(scene, "with the broker")
                rabbitmq.kill()
                missed += _show(scene, "broker killed")
            finally:
                system.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{time.monotonic() - began:.0f} s in all")
    sys.exit(missed > 0)


def _show(scene: Scene, how: str) -> int:
    """Measure and print; how many rows miss the aim."""
    aim, missed, everything = TARGETS[how], 0, []
    print(f"\n{how:32}{'p50':>8}{'p99':>8}{'max':>8}   aim: p99 at most {aim:g} s")
    for ending in (ending for ending in scene.endings() if not ending.is_rationed):
        took = [scene.seconds_until_refused(ending) for _ in range(ROUNDS)]
        everything += took
        missed += _row(ending.name, took, aim)
    return missed + _row("all of them", everything, aim)


def _row(name: str, took: list[float], aim: float) -> bool:
    ordered = sorted(took)
    half, most = (ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.99))
    missed = most > aim
    print(
        f"{name:32}{half:>8.2f}{most:>8.2f}{ordered[-1]:>8.2f}{'   missed' if missed else ''}",
        flush=True,
    )
    return missed


if __name__ == "__main__":
    main()
