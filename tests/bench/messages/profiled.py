"""A listener under cProfile: where the time of consuming a backlog goes."""

import cProfile
import importlib
import multiprocessing
import os
import pstats
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chassis.runtime import roles

from tests.bench.messages.environment import Environment
from tests.bench.messages.listeners import Result, inbox_rows, measure

FUNCTIONS = 25


def profile(environment: Environment, service: str, backlog: int, seconds: float) -> Result:
    """Consume the backlog with one listener and print its most expensive functions, by their own
    time and with what they call. Waiting for PostgreSQL and RabbitMQ is included."""
    output = environment.system.folder / "profile"
    variables = environment.system.environment(service, "listen") | {"HEALTH_PORT": "0"}
    process = multiprocessing.get_context("spawn").Process(
        target=_listen, args=(service, variables, output)
    )
    process.start()
    assert process.pid is not None
    try:
        result = measure(
            environment,
            [process.pid],
            lambda: inbox_rows(environment, service),
            backlog,
            seconds,
        )
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.join(60)
        process.kill()
    statistics = pstats.Stats(str(output)).strip_dirs()
    for order in ("tottime", "cumulative"):
        statistics.sort_stats(order).print_stats(FUNCTIONS)
    return result


def _listen(service: str, variables: Mapping[str, str], output: Path) -> None:
    os.environ.clear()
    os.environ.update(variables)
    profiles = [cProfile.Profile()]
    _profile_threads(profiles)
    with (output.parent / f"{service}-profiled.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    profiles[0].runcall(roles.listen, importlib.import_module(f"{service}.app").SERVICE)
    pstats.Stats(*profiles).dump_stats(output)


def _profile_threads(profiles: list[cProfile.Profile]) -> None:
    """Profile the threads that end with the role, too. From Python 3.12 on only one thread of a
    process can be profiled: the first."""
    if sys.version_info >= (3, 12):
        return
    run: Any = threading.Thread.run

    def profiled(thread: threading.Thread) -> None:
        own = cProfile.Profile()
        own.runcall(run, thread)
        profiles.append(own)

    threading.Thread.run = profiled  # type: ignore[method-assign, assignment]
