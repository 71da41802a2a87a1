"""When org shows what was done elsewhere. The database itself notes each change of an organization
as it is committed, so that observing takes next to nothing from what is measured."""

import threading
import time
from collections import deque
from math import inf
from typing import Any, NamedTuple

from chassis.db.database import Database
from chassis.runtime import ids
from org import values
from org.models import Organization
from sqlalchemy import select, text

# Seconds between two looks for organizations that have been opened.
LOOK = 0.2
# Run once by the superuser, in org's database.
NOTE_CHANGES = """
CREATE TABLE shown (
    organization_id uuid, status text, usable_units bigint, at double precision
);
GRANT SELECT ON shown TO PUBLIC;
CREATE FUNCTION note_shown() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.shown
    VALUES (NEW.id, NEW.status, NEW.usable_units, extract(epoch FROM clock_timestamp()));
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER note_shown AFTER UPDATE ON organizations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_shown();
"""


class Shown(NamedTuple):
    """A change of an organization; ``at``: seconds since 1970, as of ``time.time``."""

    status: str
    units: int
    at: float


class Observer:
    """Knows what is expected, and in the end how long each took: infinitely long if it is never
    shown."""

    def __init__(self, database: Database) -> None:
        self._database, self._lock = database, threading.Lock()
        self._charges: list[tuple[str, int, float]] = []
        self._deletions: list[tuple[str, float]] = []
        self._openings: set[str] = set()
        self.empty: deque[str] = deque()

    def expect_charge(self, customer: str, units: int) -> None:
        """The customer was charged now and has so much left, in units of 10⁻⁶."""
        with self._lock:
            self._charges.append((customer, units, time.time()))

    def expect_deletion(self, customer: str, requested: float) -> None:
        """The deletion was requested at this time."""
        with self._lock:
            self._deletions.append((customer, requested))

    def expect_opening(self, customer: str) -> None:
        """The customer is being opened; it joins ``empty`` once it is active."""
        with self._lock:
            self._openings.add(customer)

    def run(self, stop: threading.Event) -> None:
        """Look for opened organizations until told to stop."""
        while not stop.wait(LOOK):
            with self._lock:
                opening = set(self._openings)
            if not opening:
                continue
            active = select(Organization.id).where(
                Organization.id.in_(opening), Organization.status == values.ACTIVE
            )
            with self._database.reading() as session:
                opened = session.scalars(active).all()
            with self._lock:
                self._openings.difference_update(opened)
            self.empty.extend(opened)

    def await_the_end(self, began: float, seconds: float) -> tuple[list[float], list[float]]:
        """Wait until everything is shown, so many seconds at most; how long each charge and each
        deletion took. What was shown before the load began does not count."""
        deadline = time.monotonic() + seconds
        while inf in (took := self._took(began))[0] + took[1] and time.monotonic() < deadline:
            time.sleep(LOOK)
        return took

    def _took(self, began: float) -> tuple[list[float], list[float]]:
        shown = self._shown(began)
        lags = [
            next(
                (max(row.at - at, 0.0) for row in shown.get(customer, ()) if row.units <= left), inf
            )
            for customer, left, at in self._charges
        ]
        deletions = [
            next(
                (
                    row.at - at
                    for row in shown.get(customer, ())
                    if row.status == values.SUSPENDED_FOR_DELETION
                ),
                inf,
            )
            for customer, at in self._deletions
        ]
        return lags, deletions

    def _shown(self, began: float) -> dict[str, list[Shown]]:
        rows: dict[str, list[Shown]] = {}
        with self._database.reading() as session:
            query = text("SELECT * FROM shown WHERE at > :began ORDER BY at")
            noted: Any = session.execute(query, {"began": began})
            for organization_id, *row in noted:
                rows.setdefault(ids.of_uuid("org", organization_id), []).append(Shown(*row))
        return rows
