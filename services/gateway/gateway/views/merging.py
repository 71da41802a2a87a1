"""One OpenAPI document out of those of the services: only what is routed, each component once."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.views.routes import Route, Routes

_REF = "#/components/"
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# Section and name of a component: ("schemas", "Account").
_Name = tuple[str, str]

_HEADERS = {
    "IdempotencyKey": {
        "in": "header",
        "name": "Idempotency-Key",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
        "description": "A repeated request with the same key returns the first response and "
        "changes nothing. Not for responses that contain a secret.",
    },
    "IfMatch": {
        "in": "header",
        "name": "If-Match",
        "schema": {"type": "string"},
        "description": "The ETag of the version you read. 412 if it has changed since.",
    },
    "Prefer": {
        "in": "header",
        "name": "Prefer",
        "schema": {"type": "string"},
        "description": "wait=N, up to 10 seconds: respond once other services have confirmed.",
    },
}
_HEADERS_OF = {
    "post": ("IdempotencyKey", "Prefer"),
    "patch": ("IfMatch", "Prefer"),
    "delete": ("Prefer",),
}


def merge(
    documents: Mapping[str, Mapping[str, Any]], table: Routes, public_url: str
) -> dict[str, Any]:
    """The services' documents as one. A component that differs from another service's of the same
    name gets its service's name in front."""
    paths: dict[str, Any] = {}
    merged: dict[_Name, Any] = {}
    tags: dict[str, Any] = {}
    for service, document in documents.items():
        routed = _routed_paths(service, document, table)
        needed = _needed_components(routed, document.get("components", {}))
        names = _new_names(service, needed, merged)
        merged |= {names[old]: _renamed(value, names) for old, value in needed.items()}
        paths |= {path: _renamed(item, names) for path, item in routed.items()}
        tags |= {tag["name"]: tag for tag in document.get("tags", [])}
    components: dict[str, Any] = {
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        "parameters": _HEADERS,
    }
    for (section, name), value in merged.items():
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


def _routed_paths(service: str, document: Mapping[str, Any], table: Routes) -> dict[str, Any]:
    """The paths that are routed to the service, their operations completed."""
    paths = {}
    for path, item in document.get("paths", {}).items():
        route = table.find(re.sub(r"\{[^}]*\}", "x", path))
        if route is not None and route.service == service:
            paths[path] = {
                key: _completed(key, path, value, route) if key in _METHODS else value
                for key, value in item.items()
            }
    return paths


def _completed(
    method: str, path: str, operation: Mapping[str, Any], route: Route
) -> dict[str, Any]:
    """An operation with the headers and refusals of its kind, and with an empty ``security`` where
    it needs no token."""
    is_open = route.is_open(method.upper(), path)
    parameters = list(operation.get("parameters", []))
    documented = {parameter.get("name") for parameter in parameters}
    parameters += [
        {"$ref": f"{_REF}parameters/{name}"}
        for name in _HEADERS_OF.get(method, ())
        if _HEADERS[name]["name"] not in documented
    ]
    completed = {name: part for name, part in operation.items() if name != "security"}
    if parameters:
        completed["parameters"] = parameters
    if is_open:
        completed["security"] = []
    refusals = {
        status: {"$ref": f"{_REF}responses/Problem"} for status in _refusals(method, path, is_open)
    }
    completed["responses"] = {**refusals, **operation.get("responses", {})}
    return completed


def _refusals(method: str, path: str, is_open: bool) -> Iterator[str]:
    """The status codes of possible refusals: ours, and those of the services by kind of request."""
    is_change = method != "get"
    yield from ("429", "503")
    if is_change or not is_open:
        yield from ("401", "403")
    if is_change or "{" in path:
        yield "404"
    if is_change:
        yield from ("400", "409", "413", "415")
    if is_change or (is_open and "{" in path):
        yield "410"
    if method == "patch":
        yield "412"


def _needed_components(
    routed: Any, components: Mapping[str, Mapping[str, Any]]
) -> dict[_Name, Any]:
    """The components that these paths refer to, directly or through other components."""
    needed: dict[_Name, Any] = {}
    pending = list(_references(routed))
    while pending:
        section, name = pending.pop()
        if (section, name) in needed or name not in components.get(section, {}):
            continue
        needed[section, name] = components[section][name]
        pending += _references(needed[section, name])
    return needed


def _new_names(
    service: str, needed: Mapping[_Name, Any], merged: Mapping[_Name, Any]
) -> dict[_Name, _Name]:
    """Old name -> new name. A component is renamed if it differs from the merged one of its name,
    or refers to one that does."""
    taken = {name for name in needed if name in merged}
    differing = {name for name in taken if merged[name] != needed[name]}
    while True:
        more = {
            name
            for name in taken - differing
            if not differing.isdisjoint(_references(needed[name]))
        }
        if not more:
            break
        differing |= more
    return {
        (section, name): (section, f"{service.capitalize()}{name}")
        if (section, name) in differing
        else (section, name)
        for section, name in needed
    }


def _references(value: Any) -> Iterator[_Name]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
    elif isinstance(value, str) and value.startswith(_REF):
        yield _name_in(value)


def _renamed(value: Any, names: Mapping[_Name, _Name]) -> Any:
    """The value with its references under their new names."""
    if isinstance(value, dict):
        return {key: _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    if isinstance(value, str) and value.startswith(_REF):
        name = _name_in(value)
        return _REF + "/".join(names.get(name, name))
    return value


def _name_in(reference: str) -> _Name:
    section, _, name = reference.removeprefix(_REF).partition("/")
    return section, name
