"""What has been revoked: sessions, identities and members before an instant, organizations while
closed."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

# The longest token there is (a support session, 60 minutes) and a margin.
KEPT = 65 * 60
_CLAIM_OF = {"session": "sid", "identity": "sub", "member": "mid"}


class Revocations:
    """Learns entries in any order, each any number of times; forgets what no living token can be
    hit by."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._before: dict[tuple[str, str], float] = {}
        self._closed: dict[str, int] = {}
        self._opened: dict[str, tuple[int, float]] = {}
        self._swept = clock()

    def learn(self, entry: Mapping[str, Any]) -> None:
        """Take in one entry of a feed."""
        kind, key, before = str(entry["kind"]), str(entry["key"]), float(entry.get("before") or 0)
        with self._lock:
            if kind == "organization":
                self._learn_organization(key, int(entry["seq"]), entry["state"] == "closed", before)
            elif kind in _CLAIM_OF:
                self._before[kind, key] = max(before, self._before.get((kind, key), 0))
            self._sweep()

    def covers(self, claims: Mapping[str, Any]) -> bool:
        """Whether a token with these claims has been revoked."""
        issued, organization = claims["iat"], claims["org"]
        if organization in self._closed or issued < self._opened.get(organization, (0, 0))[1]:
            return True
        return any(
            issued <= self._before.get((kind, claims[claim]), -1)
            for kind, claim in _CLAIM_OF.items()
            if claim in claims
        )

    def _learn_organization(self, key: str, seq: int, closed: bool, before: float) -> None:
        known = max(self._closed.get(key, 0), self._opened.get(key, (0, 0))[0])
        if seq <= known:
            return
        if closed:
            self._closed[key] = seq
        else:
            self._opened[key] = (seq, before)
            self._closed.pop(key, None)

    def _sweep(self) -> None:
        now = self._clock()
        if now - self._swept < 60:
            return
        self._swept = now
        self._before = {at: before for at, before in self._before.items() if before > now - KEPT}
        self._opened = {
            key: row
            for key, row in self._opened.items()
            if row[1] > now - KEPT or key in self._closed
        }
