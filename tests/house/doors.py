"""The HTTP doors of every service, opened without a network: SQLite in a folder, transports that lead
nowhere."""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from chassis.db.database import Database
from chassis.runtime.settings import Secret
from flask import Flask
from joserfc.jwk import OKPKey

from tests.house.places import CONSOLE, Project

OF_EVERY_SERVICE = {"/healthz", "/readyz", "/internal/openapi.json", "/v1/openapi.json"}
OUTWARD = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Call(NamedTuple):
    """A method on a path, and the operation that its guard asks for (None: nobody guards it)."""

    method: str
    path: str
    operation: str | None

    @property
    def documented_as(self) -> str:
        """The path as OpenAPI writes it."""
        return re.sub(r"<(?:[^:<>]*:)?([^<>]+)>", r"{\1}", self.path)

    @property
    def example(self) -> str:
        """A path that a caller could ask for."""
        return filled(self.path)


def filled(path: str) -> str:
    """A path with something in its places."""
    return re.sub(r"<[^<>]+>", "x", path)


def build(service: Project, folder: Path) -> Flask:
    """The service's application."""
    settings = stub(import_module(f"{service.name}.config").Settings, folder)
    create_app = import_module(f"{service.name}.app").create_app
    if service == CONSOLE:
        return create_app(settings, Database(settings.database_url), object())
    transports: dict[str, Any] = defaultdict(object)
    if not service.has("models"):
        return create_app(settings, {name: object() for name in ("org", "billing", "membership")})
    return create_app(settings, Database(settings.database_url), transports)


def stub(settings: type, folder: Path) -> Any:
    """Settings that can start an application and lead nowhere."""
    key = OKPKey.generate_key("Ed25519").as_pem(private=True).decode()
    chosen = {
        "database_url": f"sqlite:///{folder / 'stub.db'}",
        "mail_url": f"file://{folder}",
        "public_url": "https://nowhere",
    }
    required = [f for f in dataclasses.fields(settings) if f.default is dataclasses.MISSING]
    return settings(
        **{
            f.name: Secret(chosen.get(f.name) or (key if "key" in f.name else "http://nowhere"))
            for f in required
        }
    )


def calls(app: Flask) -> Iterator[Call]:
    """What can be asked of the application, route by route."""
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        for method in sorted((rule.methods or set()) & set(OUTWARD)):
            yield Call(method, rule.rule, operation_of(view, method))


def operation_of(view: Any, method: str) -> str | None:
    """The mark of ``requires``, ``internal`` or ``public``, on the function or on the method of a
    class."""
    guarded = getattr(getattr(view, "view_class", None), method.lower(), view)
    return getattr(guarded, "operation", None)


def unguarded(found: list[Call]) -> list[Call]:
    """Calls that nobody guards."""
    return [call for call in found if not call.operation]


def permitted(package: Path) -> set[str]:
    """Operations that views ask for once they have seen the body: ``permit("...")``, and those that
    single fields need."""
    in_views = {
        found[1]
        for path in sorted((package / "views").rglob("*.py"))
        for found in re.finditer(r"""permit\(\s*"([a-z_.]+)\"""", path.read_text())
    }
    if not (package / "guard.py").exists():
        return in_views
    return in_views | getattr(import_module(f"{package.name}.guard"), "FIELD_OPERATIONS", set())


def differences(
    found: list[Call], table: set[str], asked_inside: set[str]
) -> tuple[set[str], set[str]]:
    """Operations used without a row in the table, and rows nobody uses."""
    used = asked_inside | {
        call.operation for call in found if call.operation not in (None, "public", "internal")
    }
    return used - table, table - used


def undocumented(found: list[Call], document: dict[str, Any]) -> list[Call]:
    """Calls that the document lacks though the gateway would forward them."""
    return [
        call
        for call in found
        if call.path not in OF_EVERY_SERVICE
        and call.operation != "internal"
        and call.method.lower() not in document["paths"].get(call.documented_as, {})
    ]
