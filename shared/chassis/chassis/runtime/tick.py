"""Runs jobs when they are due."""

import threading
import time
from collections.abc import Sequence

from chassis.db.database import Database, cause
from chassis.db.leases import LENGTH, Leases
from chassis.runtime import clock, ids, log
from chassis.runtime.backoff import Backoff
from chassis.runtime.outages import Outage
from chassis.runtime.service import Job, Service

_LOG = log.get("tick")


def run(service: Service, database: Database, settings: object, stop: threading.Event) -> None:
    """Run the service's jobs until told to stop. A job that fails is logged and runs again at its
    next turn. Jobs of one lane take turns; lanes do not wait for each other. Several processes
    share the lanes."""
    lanes: dict[str, list[Job]] = {}
    for job in service.all_jobs():
        lanes.setdefault(job.lane, []).append(job)
    leases = Leases(database, "lanes", list(lanes))
    threads = [
        threading.Thread(target=_run, args=(lane, jobs, leases, settings, stop))
        for lane, jobs in lanes.items()
    ]
    for thread in threads:
        thread.start()
    _renew(leases, stop)
    for thread in threads:
        thread.join()
    leases.release(clock.now())


def _renew(leases: Leases, stop: threading.Event) -> None:
    backoff, outage = Backoff(1.0, 10.0), Outage(_LOG, "leases.failed", "leases.recovered")
    while not stop.is_set():
        try:
            leases.renew(clock.now())
        except Exception as problem:
            outage.failed(problem)
            backoff.wait(stop)
        else:
            outage.over()
            backoff.reset()
            stop.wait(LENGTH.total_seconds() / 2)


def _run(
    lane: str, jobs: Sequence[Job], leases: Leases, settings: object, stop: threading.Event
) -> None:
    due = {job.name: 0.0 for job in jobs}
    outages = {
        job.name: Outage(_LOG.bind(job=job.name), "job.failed", "job.recovered") for job in jobs
    }
    while not stop.is_set():
        for job in jobs:
            now = clock.now()
            if time.monotonic() < due[job.name] or stop.is_set() or not leases.holds(lane, now):
                continue
            due[job.name] = time.monotonic() + job.every
            cause.set(f"{job.name}:{ids.new('evt')}")
            try:
                if job.run(leases.database, now, settings):
                    due[job.name] = 0.0
            except Exception as problem:
                outages[job.name].failed(problem)
            else:
                outages[job.name].over()
        if leases.holds(lane, clock.now()):
            stop.wait(max(0.0, min(0.5, min(due.values()) - time.monotonic())))
        else:
            stop.wait(0.5)
