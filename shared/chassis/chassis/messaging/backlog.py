"""What a relay finds in the outbox again and again without being able to send it."""

import time
from collections.abc import Mapping, Sequence

from chassis.runtime.readiness import Clock, NotReady

# Seconds for which the same message may be the oldest one that is not sent.
LIMIT = 300.0


class Backlog:
    """The messages that a relay did not get rid of."""

    def __init__(self, limit: float = LIMIT, now: Clock = time.monotonic) -> None:
        self._limit, self._now = limit, now
        self._oldest, self._since = "", 0.0
        self._returned: Mapping[str, str] = {}

    def selected(self, message_ids: Sequence[str], *, with_returned: bool) -> None:
        """Note which messages are to be sent next, the oldest first. ``with_returned``: whether
        those that were returned before are among them."""
        oldest = message_ids[0] if message_ids else ""
        if oldest != self._oldest:
            self._oldest, self._since = oldest, self._now()
        if with_returned:
            chosen = set(message_ids)
            self._returned = {id_: why for id_, why in self._returned.items() if id_ in chosen}

    def tried(self, returned: Mapping[str, str], *, with_returned: bool) -> None:
        """Note which of them were returned, with the reasons."""
        self._returned = dict(returned) if with_returned else {**self._returned, **returned}

    def check(self) -> None:
        """Raise NotReady if messages are stuck."""
        if returned := [f"{each} ({why})" for each, why in self._returned.items()]:
            more = f" and {len(returned) - 1} more" if len(returned) > 1 else ""
            raise NotReady(f"returned by the broker: {returned[0]}{more}")
        if self._oldest and self._now() - self._since > self._limit:
            minutes = (self._now() - self._since) / 60
            raise NotReady(f"{self._oldest} could not be sent for {minutes:.0f} minutes")
