"""What has been revoked: sessions, identities and members before an instant, organizations while
they are closed."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

# Seconds: the longest lifetime of a token (a support session, 60 minutes) and a margin.
RETENTION = 65 * 60
_SWEEP_INTERVAL = 60
_CLAIMS = {"session": "sid", "identity": "sub", "member": "mid"}


class Revocations:
    """Learns feed entries in any order and any number of times. Drops those that can no longer
    match a living token."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._before: dict[tuple[str, str], float] = {}
        self._closed: dict[str, int] = {}
        self._opened: dict[str, tuple[int, float]] = {}
        self._swept_at = clock()

    def learn(self, entry: Mapping[str, Any]) -> None:
        """Take in one entry of a feed."""
        kind, key = str(entry["kind"]), str(entry["key"])
        before = float(entry.get("before") or 0)
        with self._lock:
            if kind == "organization":
                self._learn_organization(key, int(entry["seq"]), entry["state"] == "closed", before)
            elif kind in _CLAIMS:
                self._before[kind, key] = max(before, self._before.get((kind, key), 0))
            self._sweep()

    def covers(self, claims: Mapping[str, Any]) -> bool:
        """Whether a token with these claims has been revoked."""
        issued, organization = claims["iat"], claims["org"]
        if organization in self._closed:
            return True
        _, opened_at = self._opened.get(organization, (0, 0))
        if issued < opened_at:
            return True
        return any(
            issued <= self._before.get((kind, claims[claim]), -1)
            for kind, claim in _CLAIMS.items()
            if claim in claims
        )

    def _learn_organization(self, key: str, seq: int, closed: bool, before: float) -> None:
        opened_seq, _ = self._opened.get(key, (0, 0))
        if seq <= max(self._closed.get(key, 0), opened_seq):
            return
        if closed:
            self._closed[key] = seq
        else:
            self._opened[key] = (seq, before)
            self._closed.pop(key, None)

    def _sweep(self) -> None:
        now = self._clock()
        if now - self._swept_at < _SWEEP_INTERVAL:
            return
        self._swept_at = now
        oldest = now - RETENTION
        self._before = {key: before for key, before in self._before.items() if before > oldest}
        self._opened = {
            key: row for key, row in self._opened.items() if row[1] > oldest or key in self._closed
        }
