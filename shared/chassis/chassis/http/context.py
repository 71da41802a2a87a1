"""What a view of a service with data may reach for: its database, its settings, its upstreams."""

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, current_app
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chassis.db.database import Database
from chassis.http import problems
from chassis.http.client import Transport
from chassis.http.prefer_wait import Waiting
from chassis.runtime import log
from chassis.runtime.settings import ServiceSettings

_LOG = log.get("here")


def attach(
    app: Flask,
    *,
    settings: ServiceSettings,
    database: Database,
    transports: Mapping[str, Transport],
) -> Flask:
    """Give the application what its views reach for; a database that does not answer becomes
    503."""
    app.extensions.update(
        settings=settings,
        database=database,
        transports=transports,
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


def transport(service: str) -> Transport:
    """The way to a neighbour."""
    found: Transport = current_app.extensions["transports"][service]
    return found


def waiting() -> Waiting:
    """The seats of those who wait for an outcome."""
    found: Waiting = current_app.extensions["waiting"]
    return found


def _unavailable(problem: Exception) -> Response:
    _LOG.warning("database.unavailable", exc_info=problem)
    return problems.problem_response(
        503, "service_unavailable", "The database is busy or away. Try again."
    )
