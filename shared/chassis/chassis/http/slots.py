"""Limits on how much runs at the same time: in this process, and of that for each tenant."""

import threading
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from chassis.errors import TooMany, Unavailable

_WHO = ("customer", "person", "provider")


class TooManyAtOnce(TooMany):
    code = "too_many_at_once"
    detail = "Too many of these requests run at once. Wait until one has ended, then try again."


class Busy(Unavailable):
    code = "service_unavailable"
    detail = "The service is busy. Try again in a moment."


@dataclass(frozen=True)
class Shares:
    """How many slots at most: for one customer; for one person, or API key, of a provider; and for
    a provider's people and keys together."""

    customer: int
    person: int
    provider: int

    def of(self, *, organization_id: str, kind: str, sub: str) -> dict[str, int]:
        """The shares that a caller's request counts against."""
        if kind == "provider":
            return {f"{organization_id} {sub}": self.person, organization_id: self.provider}
        return {organization_id: self.customer}


class Slot:
    """One of the slots; free again once it is released, or no longer referenced. Releasing it again
    does nothing."""

    def __init__(self, slots: "Slots", keys: tuple[str, ...]) -> None:
        self._slots, self._keys, self._once = slots, keys, threading.Lock()

    def release(self) -> None:
        """Free the slot."""
        if self._once.acquire(blocking=False):
            self._slots.free(self._keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __del__(self) -> None:
        if self._once.acquire(blocking=False):
            # This may run in a thread that holds the lock, so it is only noted.
            self._slots.dropped.append(self._keys)


class Slots:
    """At most ``total`` at once in this process, and for each key no more than its share."""

    def __init__(self, total: int, *, retry_after: int = 1) -> None:
        self._total, self._retry_after = total, retry_after
        self._taken = 0
        self._of: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.dropped: deque[tuple[str, ...]] = deque()

    def take(self, shares: Mapping[str, int]) -> Slot:
        """A slot that counts against each of these shares. Raises TooManyAtOnce when one of them is
        used up, Busy when the process has none left."""
        with suppress(IndexError):
            while True:
                self.free(self.dropped.popleft())
        with self._lock:
            if any(self._of[key] >= share for key, share in shares.items()):
                raise TooManyAtOnce(retry_after=self._retry_after)
            if self._taken >= self._total:
                raise Busy(retry_after=self._retry_after)
            self._taken += 1
            self._of.update(shares.keys())
        return Slot(self, tuple(shares))

    def free(self, keys: tuple[str, ...]) -> None:
        """Free a slot that counted against these keys."""
        with self._lock:
            self._taken -= 1
            self._of.subtract(keys)
            self._of += Counter()  # drops the keys that have none left


@dataclass(frozen=True)
class SharedSlots:
    """The slots of one kind of request, and a tenant's shares of them."""

    slots: Slots
    shares: Shares

    @classmethod
    def of(cls, settings: Any, name: str, *, retry_after: int = 1) -> Self:
        """What the settings say: ``name`` in all, and ``name_per_customer``, ``_person`` and
        ``_provider``."""
        total: int = getattr(settings, name)
        shares = (getattr(settings, f"{name}_per_{who}") for who in _WHO)
        return cls(Slots(total, retry_after=retry_after), Shares(*shares))

    def take(self, *, organization_id: str, kind: str, sub: str) -> Slot:
        """A slot for a request of this caller. Raises TooManyAtOnce or Busy."""
        shares = self.shares.of(organization_id=organization_id, kind=kind, sub=sub)
        return self.slots.take(shares)
