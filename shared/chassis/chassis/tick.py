"""The clock's door: runs jobs when they are due."""

import threading
import time

from chassis import clock, log
from chassis.service import Service
from chassis.sql import Database

_LOG = log.get("tick")


def run(service: Service, database: Database, settings: object, stop: threading.Event) -> None:
    """Run the service's jobs until told to stop; a job that fails is logged and tried again at its next turn."""
    due = {job.name: 0.0 for job in service.all_jobs()}
    while not stop.is_set():
        for job in service.all_jobs():
            if time.monotonic() < due[job.name] or stop.is_set():
                continue
            due[job.name] = time.monotonic() + job.every
            try:
                if job.run(database, clock.now(), settings):
                    due[job.name] = 0.0
            except Exception:
                _LOG.warning("job.failed", job=job.name, exc_info=True)
        stop.wait(max(0.0, min(0.5, min(due.values()) - time.monotonic())))
