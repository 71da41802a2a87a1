"""The public OpenAPI document, fetched from the services and merged."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from chassis.errors import Unavailable
from chassis.http.client import InternalClient
from chassis.runtime import log

from gateway.views.merging import merge
from gateway.views.routes import Routes

_LOG = log.get("openapi")
# Seconds until the services are asked again: all of them responded; one did not.
_MAX_AGE = 60
_RETRY_AFTER = 5


class Catalog:
    """The merged document. A service that does not respond keeps its last document."""

    def __init__(
        self,
        table: Routes,
        clients: Mapping[str, InternalClient],
        public_url: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._routes, self._clients, self._public_url = table, clients, public_url
        self._clock = clock
        self._documents: dict[str, dict[str, Any]] = {}
        self._refresh_at = float("-inf")
        self._merged = b""
        self._lock = threading.Lock()

    def document(self) -> bytes:
        """The merged document, as JSON. Raises Unavailable until every service has responded."""
        is_due = self._clock() >= self._refresh_at
        # One request refreshes; others take what is there, and wait only where there is nothing.
        if is_due and self._lock.acquire(blocking=not self._merged):
            try:
                self._refresh()
            finally:
                self._lock.release()
        if not self._merged:
            raise Unavailable(
                "The API description is not complete yet. Try again.",
                code="service_unavailable",
                retry_after=_RETRY_AFTER,
            )
        return self._merged

    def _refresh(self) -> None:
        if self._clock() < self._refresh_at:
            return
        fetched = [self._fetch(name, client) for name, client in self._clients.items()]
        self._refresh_at = self._clock() + (_MAX_AGE if all(fetched) else _RETRY_AFTER)
        if self._documents.keys() == self._clients.keys():
            in_order = {name: self._documents[name] for name in self._clients}
            merged = merge(in_order, self._routes, self._public_url)
            self._merged = json.dumps(merged, separators=(",", ":")).encode()

    def _fetch(self, name: str, client: InternalClient) -> bool:
        try:
            self._documents[name] = client.get("/internal/openapi.json")
        except (Unavailable, ValueError):
            _LOG.warning("openapi.unavailable", upstream=name)
            return False
        return True
