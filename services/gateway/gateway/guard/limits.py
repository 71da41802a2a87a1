"""How often: per organization with a token, per client address without."""

import ipaddress
import math
import time
from collections.abc import Mapping
from typing import Any

from chassis.errors import TooMany
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

_PUBLIC_WINDOW = 10


class Limits:
    """Counts in this process. ``burst`` within the time that ``per_second`` needs for as many; ``public`` and
    ``pages`` in 10 s.

    ``proxies``: networks (comma separated) whose X-Forwarded-For names the client; nobody else's is believed."""

    def __init__(
        self, *, per_second: int, burst: int, public: int, pages: int = 500, proxies: str = ""
    ) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._organization = RateLimitItemPerSecond(
            burst, max(1, burst // per_second), namespace="organization"
        )
        self._address = RateLimitItemPerSecond(public, _PUBLIC_WINDOW, namespace="address")
        self._pages = RateLimitItemPerSecond(pages, _PUBLIC_WINDOW, namespace="pages")
        self._proxies = [
            ipaddress.ip_network(part.strip()) for part in proxies.split(",") if part.strip()
        ]

    def count_organization(self, organization_id: str) -> None:
        """One more request with a token. Raises TooMany."""
        self._count(self._organization, organization_id)

    def count_address(self, address: str) -> None:
        """One more request without a token. Raises TooMany."""
        self._count(self._address, address)

    def count_page(self, address: str) -> None:
        """One more page, or part of one. Raises TooMany."""
        self._count(self._pages, address)

    def _count(self, limit: RateLimitItem, key: str) -> None:
        if not self._limiter.hit(limit, key):
            reset = self._limiter.get_window_stats(limit, key).reset_time
            raise TooMany(
                "Too many requests. Wait, then try again.",
                code="too_many_requests",
                retry_after=max(1, math.ceil(reset - time.time())),
            )

    def address_of(self, environ: Mapping[str, Any]) -> str:
        """Where the client is, as far as we believe what we are told."""
        direct = str(environ.get("REMOTE_ADDR", ""))
        forwarded = str(environ.get("HTTP_X_FORWARDED_FOR", "")).rpartition(",")[2].strip()
        return forwarded if forwarded and self._is_proxy(direct) else direct

    def _is_proxy(self, address: str) -> bool:
        try:
            return any(ipaddress.ip_address(address) in network for network in self._proxies)
        except ValueError:
            return False
