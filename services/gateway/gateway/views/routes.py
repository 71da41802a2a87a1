"""Which path belongs to which service, as ``deploy/services.toml`` says. Nothing else is
forwarded."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from chassis.http import body_limits

MAX_PATH = 2048
# Paths of the gateway's own.
HEALTH = "/healthz"
OWN = {HEALTH, "/readyz", "/v1/openapi.json"}

# No percent sign, no empty segment, none that begins with a dot: each path has one spelling.
_CANONICAL = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+|/\.well-known/jwks\.json")


@dataclass(frozen=True)
class Route:
    """A pattern and the service it belongs to. ``is_mailed``: its paths end in a secret sent by
    email, which must not be logged."""

    pattern: str
    service: str
    is_mailed: bool = False
    body_limit: int = body_limits.DEFAULT
    open_calls: frozenset[str] = frozenset()

    def is_open(self, method: str, path: str) -> bool:
        """Whether the request needs no token."""
        return self.pattern in self.open_calls or f"{method} {path}" in self.open_calls


class Routes:
    """The routing table."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = {route.pattern: route for route in routes}

    @classmethod
    def load(cls, file: Path) -> Self:
        """Read the table from the registry of services."""
        services = tomllib.loads(file.read_text())
        return cls(
            _route(name, service, pattern)
            for name, service in services.items()
            for pattern in service.get("paths", ())
        )

    @property
    def services(self) -> list[str]:
        """The services that have public paths."""
        return list(dict.fromkeys(route.service for route in self._routes.values()))

    def find(self, path: str) -> Route | None:
        """The route of a path as it was sent, still percent-encoded. None for unknown paths and
        unusual spellings."""
        if len(path) > MAX_PATH or not _CANONICAL.fullmatch(path):
            return None
        parts = path.split("/")
        if len(parts) > 4:
            route = self._routes.get(f"/{parts[1]}/{parts[2]}/{{id}}/{parts[4]}")
            if route is not None:
                return route
        return self._routes.get("/".join(parts[:3]))


def _route(name: str, service: Mapping[str, Any], pattern: str) -> Route:
    return Route(
        pattern,
        name,
        is_mailed=pattern in service.get("mailed", ()),
        body_limit=body_limits.BULK if pattern in service.get("large", ()) else body_limits.DEFAULT,
        open_calls=frozenset(service.get("open", ())),
    )
