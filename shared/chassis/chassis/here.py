"""What a view of a service with data may reach for: its database, its settings, its neighbours."""

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, current_app
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chassis import log, web
from chassis.client import Wire
from chassis.config import ServiceSettings
from chassis.sql import Database
from chassis.waiting import Waiting

_LOG = log.get("here")


def attach(
    app: Flask, *, settings: ServiceSettings, database: Database, wires: Mapping[str, Wire]
) -> Flask:
    """Give the application what its views reach for; a database that does not answer becomes
    503."""
    app.extensions.update(
        settings=settings,
        database=database,
        wires=wires,
        waiting=Waiting(settings.web_threads // 4),
    )
    app.register_error_handler(OperationalError, _unavailable)
    app.register_error_handler(PoolTimeout, _unavailable)
    return app


def database() -> Database:
    """The service's database."""
    found: Database = current_app.extensions["database"]
    return found


def settings() -> Any:
    """The service's settings."""
    return current_app.extensions["settings"]


def wire(service: str) -> Wire:
    """The way to a neighbour."""
    found: Wire = current_app.extensions["wires"][service]
    return found


def waiting() -> Waiting:
    """The seats of those who wait for an outcome."""
    found: Waiting = current_app.extensions["waiting"]
    return found


def _unavailable(problem: Exception) -> Response:
    _LOG.warning("database.unavailable", exc_info=problem)
    return web.problem_response(
        503, "service_unavailable", "The database is busy or away. Try again."
    )
