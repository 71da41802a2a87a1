"""Rate limits: per organization for requests with a token, per client network without one."""

import math
import time

from chassis.errors import TooMany
from chassis.http import networks
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

_PUBLIC_WINDOW = 10


class RateLimit:
    """At most ``requests`` per ``seconds`` for each key, counted in the memory of this process."""

    def __init__(self, requests: int, seconds: int) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._limit = RateLimitItemPerSecond(requests, seconds)

    def count(self, key: str) -> None:
        """Count one request. Raises TooMany when it is over the limit."""
        if self._limiter.hit(self._limit, key):
            return
        reset = self._limiter.get_window_stats(self._limit, key).reset_time
        raise TooMany(
            "Too many requests. Wait, then try again.",
            code="too_many_requests",
            retry_after=max(1, math.ceil(reset - time.time())),
        )


class Limits:
    """The limits of the API.

    ``per_second`` and ``burst``: for each organization, on average and at once; ``public``: for
    each client network, requests without a token in ten seconds."""

    def __init__(self, *, per_second: int, burst: int, public: int) -> None:
        self._organizations = RateLimit(burst, max(1, burst // per_second))
        self._addresses = RateLimit(public, _PUBLIC_WINDOW)

    def count_organization(self, organization_id: str) -> None:
        """Count a request with a token. Raises TooMany."""
        self._organizations.count(organization_id)

    def count_address(self, address: str) -> None:
        """Count a request without a token. Raises TooMany."""
        self._addresses.count(networks.network_of(address))
