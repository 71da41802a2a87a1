"""The HTTP endpoints of every service, built without a network: SQLite in a folder, transports
to nowhere."""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from chassis.db.database import Database
from chassis.runtime.settings import Secret
from clientele import registry
from flask import Flask
from joserfc.jwk import OKPKey
from org.models import FIELDS

from tests.house.workspace import CONSOLE, Project

OF_EVERY_SERVICE = {"/healthz", "/readyz", "/internal/openapi.json", "/v1/openapi.json"}
OUTWARD = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Endpoint(NamedTuple):
    """A method on a path, and the operation that it requires (None: it declares nothing)."""

    method: str
    path: str
    operation: str | None

    @property
    def documented_as(self) -> str:
        """The path as OpenAPI writes it."""
        return re.sub(r"<(?:[^:<>]*:)?([^<>]+)>", r"{\1}", self.path)

    @property
    def example(self) -> str:
        """A path that a caller could request."""
        return filled(self.path)


def filled(path: str) -> str:
    """A path with its parameters filled in."""
    return re.sub(r"<[^<>]+>", "x", path)


def build(service: Project, folder: Path) -> Flask:
    """The service's application."""
    settings = stub(import_module(f"{service.name}.config").Settings, folder)
    app: Any = import_module(f"{service.name}.app")
    create_app = getattr(app, "SERVICE", app).create_app
    if service == CONSOLE:
        return create_app(settings, Database(settings.database_url), object())
    transports: dict[str, Any] = defaultdict(object)
    if service.name == "gateway":
        return create_app(settings, {name: object() for name in ("org", "billing", "membership")})
    return create_app(settings, Database(settings.database_url), transports)


def stub(settings: type, folder: Path) -> Any:
    """Settings that can start an application and lead nowhere."""
    key = OKPKey.generate_key("Ed25519").as_pem(private=True).decode()
    chosen = {
        "database_url": f"sqlite:///{folder / 'stub.db'}",
        "mail_url": f"file://{folder}",
        "public_url": "https://nowhere",
        "registry": str(registry.FILE),
    }
    values: dict[str, str] = {}
    for field in dataclasses.fields(settings):
        if field.default is dataclasses.MISSING:
            value = chosen.get(field.name) or (key if "key" in field.name else "http://nowhere")
            values[field.name] = Secret(value) if field.type is Secret else value
    return settings(**values)


def endpoints_of(app: Flask) -> Iterator[Endpoint]:
    """Every endpoint of the application."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        for method in sorted((rule.methods or set()) & set(OUTWARD)):
            yield Endpoint(method, rule.rule, operation_of(view, method))


def operation_of(view: Any, method: str) -> str | None:
    """The declaration by ``requires``, ``internal`` or ``public``, on the function or on the
    method of a class."""
    guarded = getattr(getattr(view, "view_class", None), method.lower(), view)
    return getattr(guarded, "operation", None)


def unguarded(endpoints_: list[Endpoint]) -> list[Endpoint]:
    """Endpoints that do not declare who may call them."""
    return [endpoint for endpoint in endpoints_ if not endpoint.operation]


def permitted(package: Path) -> set[str]:
    """Operations that views check once they have read the body: ``permit("...")``, and those that
    single fields need."""
    in_views = {
        match[1]
        for path in sorted((package / "views").rglob("*.py"))
        for match in re.finditer(r"""permit\(\s*"([a-z_.]+)\"""", path.read_text())
    }
    return in_views | (field_operations() if package.name == "org" else set())


def field_operations() -> set[str]:
    """The operations that single fields of an organization need."""
    return {operation for field in FIELDS.values() for operation in field.operations}


def differences(
    endpoints_: list[Endpoint], table: set[str], checked_inside: set[str]
) -> tuple[set[str], set[str]]:
    """Operations without a row in the table, and rows that no endpoint uses."""
    used = checked_inside | {
        endpoint.operation
        for endpoint in endpoints_
        if endpoint.operation not in (None, "public", "internal")
    }
    return used - table, table - used


def undocumented(endpoints_: list[Endpoint], document: dict[str, Any]) -> list[Endpoint]:
    """Endpoints that the gateway forwards but the document lacks."""
    return [
        endpoint
        for endpoint in endpoints_
        if endpoint.path not in OF_EVERY_SERVICE
        and endpoint.operation != "internal"
        and endpoint.method.lower() not in document["paths"].get(endpoint.documented_as, {})
    ]
