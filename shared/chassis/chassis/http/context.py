"""What the views of a service with data use: its database, settings and upstreams."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from flask import Flask, Response, current_app
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chassis.db.database import Database, Session
from chassis.http import problems, requests
from chassis.http.client import Transport
from chassis.http.prefer_wait import Waiting
from chassis.runtime import log
from chassis.runtime.settings import ServiceSettings

_LOG = log.get("context")
# At most this share of the threads waits for an outcome; the others keep serving requests.
_WAITING_SHARE = 4


def attach(
    app: Flask,
    *,
    settings: ServiceSettings,
    database: Database,
    transports: Mapping[str, Transport],
) -> Flask:
    """Give the application what its views use. A database that does not respond becomes 503."""
    app.extensions.update(
        settings=settings,
        database=database,
        transports=transports,
        waiting=Waiting(settings.web_threads // _WAITING_SHARE),
    )
    app.register_error_handler(OperationalError, _unavailable)
    app.register_error_handler(PoolTimeout, _unavailable)
    return app


def database() -> Database:
    """The service's database."""
    attached: Database = current_app.extensions["database"]
    return attached


def transaction() -> AbstractContextManager[Session]:
    """A transaction of this request, which its messages and audit rows name."""
    return database().transaction(correlation=requests.request_id(), client=requests.client())


def settings() -> Any:
    """The service's settings."""
    return current_app.extensions["settings"]


def transport(service: str) -> Transport:
    """How to reach another service."""
    attached: Transport = current_app.extensions["transports"][service]
    return attached


def waiting() -> Waiting:
    """The requests of this process that wait for an outcome."""
    attached: Waiting = current_app.extensions["waiting"]
    return attached


def _unavailable(problem: Exception) -> Response:
    _LOG.warning("database.unavailable", exc_info=problem)
    detail = "The database is temporarily unavailable. Try again in a moment."
    return problems.problem_response(503, "service_unavailable", detail)
