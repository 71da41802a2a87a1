"""One OpenAPI document out of those of the services: only what is routed, nothing said twice."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chassis.errors import Unavailable
from chassis.http.client import InternalClient
from chassis.runtime import log

from gateway.views import routes

_LOG = log.get("openapi")
_REF = "#/components/"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_KEPT = 60
_PAUSE = 5
_Name = tuple[str, str]

# What a client may say beside the body, and to which methods.
_HEADERS = {
    "IdempotencyKey": {
        "in": "header",
        "name": "Idempotency-Key",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
        "description": "The first outcome under this key is answered again; not where the answer carries a secret.",
    },
    "IfMatch": {
        "in": "header",
        "name": "If-Match",
        "schema": {"type": "string"},
        "description": "The ETag of what was read; 412 when it has changed since.",
    },
    "Prefer": {
        "in": "header",
        "name": "Prefer",
        "schema": {"type": "string"},
        "description": "wait=N, up to 10 seconds: answer when other services have confirmed.",
    },
}
_SAID_TO = {
    "post": ("IdempotencyKey", "Prefer"),
    "patch": ("IfMatch", "Prefer"),
    "delete": ("Prefer",),
}


class Catalogue:
    """The merged document, asked for anew after a minute; what a silent service last said still
    holds."""

    def __init__(
        self,
        upstreams: Mapping[str, InternalClient],
        public_url: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._neighbours, self._public_url, self._clock = upstreams, public_url, clock
        self._said: dict[str, dict[str, Any]] = {}
        self._ask_at = float("-inf")
        self._document: dict[str, Any] = {}
        self._lock = threading.Lock()

    def document(self) -> dict[str, Any]:
        """The document. Raises Unavailable while a service has never told its own."""
        if self._clock() >= self._ask_at and self._lock.acquire(blocking=not self._document):
            try:
                self._refresh()
            finally:
                self._lock.release()
        if not self._document:
            raise Unavailable(
                "Not every service has said what it offers. Try again.",
                code="service_unavailable",
                retry_after=_PAUSE,
            )
        return self._document

    def _refresh(self) -> None:
        if self._clock() < self._ask_at:
            return
        silent = [
            name for name, neighbour in self._neighbours.items() if not self._ask(name, neighbour)
        ]
        self._ask_at = self._clock() + (_PAUSE if silent else _KEPT)
        if self._said.keys() == self._neighbours.keys():
            self._document = merge(
                {name: self._said[name] for name in self._neighbours}, self._public_url
            )

    def _ask(self, name: str, neighbour: InternalClient) -> bool:
        try:
            self._said[name] = neighbour.get("/internal/openapi.json")
        except (Unavailable, ValueError):
            _LOG.warning("openapi.silent", of=name)
            return False
        return True


def merge(documents: Mapping[str, Mapping[str, Any]], public_url: str) -> dict[str, Any]:
    """The services' documents as one; a component that differs from another's carries its service's
    name."""
    paths: dict[str, Any] = {}
    shared: dict[_Name, Any] = {}
    tags: dict[str, Any] = {}
    for service, document in documents.items():
        routed = {
            path: _told(path, item)
            for path, item in document.get("paths", {}).items()
            if _is_routed(path, service)
        }
        needed = _needed(routed, document.get("components", {}))
        names = _names(service, needed, shared)
        shared |= {names[old]: _pointed(value, names) for old, value in needed.items()}
        paths |= {path: _pointed(item, names) for path, item in routed.items()}
        tags |= {tag["name"]: tag for tag in document.get("tags", [])}
    components: dict[str, Any] = {
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        "parameters": _HEADERS,
    }
    for (section, name), value in shared.items():
        components.setdefault(section, {})[name] = value
    return {
        "openapi": "3.1.0",
        "info": {"title": "Clientele", "version": "v1"},
        "servers": [{"url": public_url}],
        "security": [{"bearer": []}],
        "tags": list(tags.values()),
        "paths": paths,
        "components": components,
    }


def _is_routed(template: str, service: str) -> bool:
    route = routes.find(re.sub(r"\{[^}]*\}", "x", template))
    return route is not None and route.service == service


def _needed(routed: Any, components: Mapping[str, Mapping[str, Any]]) -> dict[_Name, Any]:
    """The components that these paths point to, directly or over others."""
    found: dict[_Name, Any] = {}
    waiting = list(_pointers(routed))
    while waiting:
        name = waiting.pop()
        if name not in found and name[1] in components.get(name[0], {}):
            found[name] = components[name[0]][name[1]]
            waiting += _pointers(found[name])
    return found


def _names(
    service: str, needed: Mapping[_Name, Any], shared: Mapping[_Name, Any]
) -> dict[_Name, _Name]:
    """Old name -> new. What differs, or points to what differs, is renamed."""
    differing = {name for name, value in needed.items() if name in shared and shared[name] != value}
    while more := {
        name
        for name, value in needed.items()
        if name in shared and name not in differing and not differing.isdisjoint(_pointers(value))
    }:
        differing |= more
    return {
        (section, name): (
            section,
            f"{service.capitalize()}{name}" if (section, name) in differing else name,
        )
        for section, name in needed
    }


def _pointers(value: Any) -> Iterator[_Name]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _pointers(inner)
    elif isinstance(value, str) and value.startswith(_REF):
        section, _, name = value.removeprefix(_REF).partition("/")
        yield section, name


def _pointed(value: Any, names: Mapping[_Name, _Name]) -> Any:
    if isinstance(value, dict):
        return {key: _pointed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_pointed(inner, names) for inner in value]
    if isinstance(value, str) and value.startswith(_REF):
        section, _, name = value.removeprefix(_REF).partition("/")
        return _REF + "/".join(names.get((section, name), (section, name)))
    return value


def _told(path: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """The path's operations with the headers and the refusals of their kind, those without a token
    marked as such."""
    route = routes.find(re.sub(r"\{[^}]*\}", "x", path))
    return {
        key: _described(
            key, path, operation, route is not None and route.is_open(key.upper(), path)
        )
        if key in _METHODS
        else operation
        for key, operation in item.items()
    }


def _described(
    method: str, path: str, operation: Mapping[str, Any], is_open: bool
) -> dict[str, Any]:
    said = list(operation.get("parameters", []))
    named = {parameter.get("name") for parameter in said}
    said += [
        {"$ref": f"{_REF}parameters/{name}"}
        for name in _SAID_TO.get(method, ())
        if _HEADERS[name]["name"] not in named
    ]
    refusals = {
        status: {"$ref": f"{_REF}responses/Problem"} for status in _refusals(method, path, is_open)
    }
    told = {name: part for name, part in operation.items() if name != "security"}
    return {
        **told,
        **({"parameters": said} if said else {}),
        **({"security": []} if is_open else {}),
        "responses": {**refusals, **operation["responses"]},
    }


def _refusals(method: str, path: str, is_open: bool) -> Iterator[str]:
    """The statuses of the refusals there may be: ours, and those of the services by the kind of the
    call."""
    yield from ("429", "503")
    changes = method != "get"
    if changes or not is_open:
        yield from ("401", "403")
    if changes or "{" in path:
        yield "404"
    if changes:
        yield from ("400", "409", "413", "415")
    if changes or (is_open and "{" in path):
        yield "410"
    if method == "patch":
        yield "412"
