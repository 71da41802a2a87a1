"""Runs jobs when they are due."""

import threading
import time
from collections.abc import Mapping, Sequence

from chassis.db.database import Database, cause
from chassis.db.leases import Leases
from chassis.db.turns import rest_after
from chassis.runtime import clock, ids, log
from chassis.runtime.backoff import Backoff
from chassis.runtime.outages import Outage
from chassis.runtime.readiness import Check, Clock, NotReady, Progress, name_of
from chassis.runtime.service import Job, Service

# Seconds that a turn of a lane may take, and for which a job may fail, before that is reported.
MAX_TURN_SECONDS = 600.0
# Seconds without a change after which jobs run less often, and the longest pause then where they
# are not woken by changes.
ACTIVE_SECONDS, MAX_PAUSE_SECONDS = 30.0, 2.0
_LOG = log.get("tick")


class Tick:
    """Runs the jobs of a service. Jobs of one lane take turns; lanes do not wait for each other.
    Several processes share the lanes. ``now``: the clock of the checks.

    While nothing changes, jobs run less often; ``wake`` ends that."""

    def __init__(
        self,
        service: Service,
        database: Database,
        settings: object,
        now: Clock = time.monotonic,
    ) -> None:
        self._settings = settings
        self._lanes: dict[str, list[Job]] = {}
        for job in service.all_jobs():
            self._lanes.setdefault(job.lane, []).append(job)
        self._leases = Leases(database, "lanes", list(self._lanes))
        self._wakes = {lane: threading.Event() for lane in self._lanes}
        self._pace = Pace()
        database.on_publish.append(self.look_again)
        self._renewal = Progress(now=now)
        self._progress = {lane: Progress(MAX_TURN_SECONDS, now) for lane in self._lanes}

    @property
    def checks(self) -> Mapping[str, Check]:
        """Whether the leases are renewed, every lane takes its turns, and no job fails for long."""
        lanes = {
            f"jobs {lane}".strip(): progress.check for lane, progress in self._progress.items()
        }
        return {"leases": self._renewal.check, **lanes}

    @property
    def is_woken(self) -> bool:
        """Whether ``wake`` is called when the service's data changes."""
        return self._pace.is_woken

    @is_woken.setter
    def is_woken(self, woken: bool) -> None:
        self._pace.is_woken = woken

    def wake(self) -> None:
        """Something has changed: run the jobs at their own pace again. Costs next to nothing while
        they do."""
        if self._pace.note_activity():
            self.look_again()

    def look_again(self) -> None:
        """Let each job take a turn: what one of them did may give others something to do."""
        for woken in self._wakes.values():
            woken.set()

    def run(self, stop: threading.Event) -> None:
        """Run jobs until told to stop. A job that fails is logged and runs again at its next
        turn."""
        threads = [
            threading.Thread(target=self._run_lane, args=(lane, jobs, stop))
            for lane, jobs in self._lanes.items()
        ]
        for thread in threads:
            thread.start()
        self._renew(stop)
        self.look_again()
        for thread in threads:
            thread.join()
        self._leases.release(clock.now())

    def _renew(self, stop: threading.Event) -> None:
        backoff, outage = Backoff(1.0, 10.0), Outage(_LOG, "leases.failed", "leases.recovered")
        while not stop.is_set():
            try:
                self._leases.renew(clock.now())
            except Exception as problem:
                outage.failed(problem)
                self._renewal.failed(problem)
                backoff.wait(stop)
            else:
                outage.over()
                self._renewal.succeeded()
                backoff.reset()
                stop.wait(self._leases.length.total_seconds() / 2)

    def _run_lane(self, lane: str, jobs: Sequence[Job], stop: threading.Event) -> None:
        schedules = [
            _Schedule(job, self._leases.database, self._settings, self._pace) for job in jobs
        ]
        progress = self._progress[lane]
        while not stop.is_set():
            for each in schedules:
                may_run = not stop.is_set() and self._leases.holds(lane, clock.now())
                if may_run and each.take_if_due():
                    self.look_again()
            held = self._leases.holds(lane, clock.now())
            problems = [each.problem for each in schedules if each.problem is not None]
            if held and problems:
                progress.failed(problems[0])
            else:
                progress.succeeded()
            due = min(each.due for each in schedules) - time.monotonic()
            if self._wakes[lane].wait(max(due, 0.0) if held else 0.5):
                self._wakes[lane].clear()
                for each in schedules:
                    each.bring_forward()


class Pace:
    """How often jobs run: less often after half a minute without a change. ``is_woken``: whether
    every change of data, also by other processes, is reported to ``note_activity``."""

    def __init__(self, now: Clock = time.monotonic) -> None:
        self._now = now
        self._active = now()
        self.is_woken = False

    def note_activity(self) -> bool:
        """The service's data has changed. Returns whether any job may be resting."""
        before, self._active = self._active, self._now()
        return self._active - before > ACTIVE_SECONDS / 2

    def pause(self, job: Job, before: float) -> float:
        """Seconds until the next turn of a job that did nothing; ``before``: those until this
        one."""
        if self._now() - self._active <= ACTIVE_SECONDS:
            return job.every
        longest = job.idle if self.is_woken else MAX_PAUSE_SECONDS
        return min(max(before, job.every) * 2, max(longest, job.every))


class _Schedule:
    """When a job is due next, and the problem of its last turn."""

    def __init__(self, job: Job, database: Database, settings: object, pace: Pace) -> None:
        self._job, self._database, self._settings = job, database, settings
        self.due = self._began = 0.0
        self.problem: Exception | None = None
        self._pace, self._pause = pace, job.every
        self._least = job.every
        self._outage = Outage(_LOG.bind(job=job.name), "job.failed", "job.recovered")

    def bring_forward(self) -> None:
        """Make the next turn due as soon after the last as while there is something to do."""
        self.due = min(self.due, self._began + self._least)

    def take_if_due(self) -> int:
        """Run the job unless its next turn is later; returns how much it did."""
        began = time.monotonic()
        if began < self.due:
            return 0
        self._began = began
        cause.set(f"{self._job.name}:{ids.new('evt')}")
        try:
            did = self._job.run(self._database, clock.now(), self._settings)
        except Exception as problem:
            self.due = began + self._job.every
            self.problem = NotReady(f"{self._job.name} failed: {name_of(problem)}")
            self._outage.failed(problem)
            return 0
        self._pause = self._job.every if did else self._pace.pause(self._job, self._pause)
        self._least = max(self._job.every, rest_after(time.monotonic() - began))
        self.due = 0.0 if did else began + max(self._pause, self._least)
        self.problem = None
        self._outage.over()
        return did
