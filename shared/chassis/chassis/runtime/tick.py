"""Runs jobs when they are due."""

import threading
import time
from collections.abc import Sequence

from chassis.db.database import Database, cause
from chassis.runtime import clock, ids, log
from chassis.runtime.service import Job, Service

_LOG = log.get("tick")


def run(service: Service, database: Database, settings: object, stop: threading.Event) -> None:
    """Run the service's jobs until told to stop. A job that fails is logged and runs again at its
    next turn. Jobs of one lane take turns; lanes do not wait for each other."""
    lanes: dict[str, list[Job]] = {}
    for job in service.all_jobs():
        lanes.setdefault(job.lane, []).append(job)
    threads = [
        threading.Thread(target=_run, args=(jobs, database, settings, stop))
        for jobs in lanes.values()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _run(jobs: Sequence[Job], database: Database, settings: object, stop: threading.Event) -> None:
    due = {job.name: 0.0 for job in jobs}
    while not stop.is_set():
        for job in jobs:
            if time.monotonic() < due[job.name] or stop.is_set():
                continue
            due[job.name] = time.monotonic() + job.every
            cause.set(f"{job.name}:{ids.new('evt')}")
            try:
                if job.run(database, clock.now(), settings):
                    due[job.name] = 0.0
            except Exception:
                _LOG.warning("job.failed", job=job.name, exc_info=True)
        stop.wait(max(0.0, min(0.5, min(due.values()) - time.monotonic())))
