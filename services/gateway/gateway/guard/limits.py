"""Rate limits: per organization for requests with a valid token, per client network for others."""

import math
import time
from typing import Any, Self

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

    def admits(self, key: str) -> bool:
        """Count one request; whether it is within the limit."""
        return self._limiter.hit(self._limit, key)

    def count(self, key: str) -> None:
        """Count one request. Raises TooMany when it is over the limit."""
        if self.admits(key):
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
    each client network in ten seconds, of each kind that no organization answers for. The kinds are
    counted apart, so that a script with a dead token does not slow down others of its network who
    sign in."""

    def __init__(self, *, per_second: int, burst: int, public: int) -> None:
        self._organizations = RateLimit(burst, max(1, burst // per_second))
        self._open = RateLimit(public, _PUBLIC_WINDOW)
        self._refused = RateLimit(public, _PUBLIC_WINDOW)
        self._own = RateLimit(public, _PUBLIC_WINDOW)

    @classmethod
    def of(cls, settings: Any) -> Self:
        """The limits that these settings give."""
        return cls(
            per_second=settings.rate_per_second,
            burst=settings.rate_burst,
            public=settings.public_rate,
        )

    def count_organization(self, organization_id: str) -> None:
        """Count a request with a token. Raises TooMany."""
        self._organizations.count(organization_id)

    def is_within_rate(self, address: str) -> bool:
        """Count a request that needs no token; whether its network is within its rate. Above it, a
        request is still not refused: it may hold a valid key, refresh token or link, which does not
        have to pay for what others of the network send."""
        return self._open.admits(networks.network_of(address))

    def count_refused(self, address: str) -> None:
        """Count a request whose token was refused. Raises TooMany."""
        self._refused.count(networks.network_of(address))

    def count_own(self, address: str) -> None:
        """Count a request that the gateway answers itself. Raises TooMany."""
        self._own.count(networks.network_of(address))
