"""The Flask application of a service: request ids, problem+json, health, the OpenAPI document."""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any

import flask
import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from chassis import errors
from chassis.auth.access import AccessControl, public
from chassis.auth.internal import internal
from chassis.http import body_limits, security_log
from chassis.http.problems import failure_response, problem_response
from chassis.http.requests import accepted_id, client_address, request_id
from chassis.runtime import clock, log, readiness
from chassis.runtime.readiness import Check, Readiness

_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}
_HEALTH_PATHS = ("/healthz", "/readyz")
_LOG = log.get("web")
_NONE: Mapping[str, Check] = MappingProxyType({})


def build(
    name: str,
    *,
    title: str,
    access: AccessControl | None,
    blueprints: Iterable[flask.Blueprint],
    ready: Mapping[str, Check] = _NONE,
    behind: Mapping[str, Check] = _NONE,
    others: Mapping[str, Check] = _NONE,
    ready_for: float = 1.0,
) -> Flask:
    """A service's Flask application. Plain Flask blueprints are served but not documented.

    ``ready``: the checks of whether this service works, also in ``extensions["readiness"]``;
    ``behind``: of those without which it cannot respond; ``/readyz`` is 503 if one of either fails.
    ``others``: what ``/readyz`` also reports. ``ready_for``: seconds for which outcomes are
    kept."""
    app = Flask(name, static_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=body_limits.DEFAULT,
        PROPAGATE_EXCEPTIONS=False,
        JSON_SORT_KEYS=False,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.default = _plain  # type: ignore[attr-defined]
    if access is not None:
        app.extensions["access_control"] = access
    app.before_request(_begin)
    app.after_request(_end)
    app.register_error_handler(errors.Failure, _refused)
    app.register_error_handler(Exception, _internal_error)
    app.register_error_handler(HTTPException, _http_error)
    registered = tuple(blueprints)
    for blueprint in registered:
        app.register_blueprint(blueprint)
    app.extensions["readiness"] = Readiness(ready, ready_for)
    _add_health(app, Readiness(behind, ready_for), Readiness(others, ready_for))
    _add_openapi(app, title, registered)
    return app


def _add_openapi(app: Flask, title: str, blueprints: Iterable[flask.Blueprint]) -> None:
    @cache
    def document() -> dict[str, Any]:
        from chassis.http import openapi  # takes long to import and to run, and few ask for it

        return openapi.document(title, blueprints)

    app.add_url_rule(
        "/internal/openapi.json",
        view_func=internal("gateway")(document),
        endpoint="openapi",
    )
    app.extensions["openapi"] = document


def _add_health(app: Flask, behind: Readiness, others: Readiness) -> None:
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    def readyz() -> tuple[dict[str, Any], int]:
        return readiness.report(
            {**behind.outcome(), **app.extensions["readiness"].outcome()}, others.outcome()
        )

    app.add_url_rule("/healthz", view_func=public(healthz))
    app.add_url_rule("/readyz", view_func=public(readyz))


def _plain(value: Any) -> Any:
    """What JSON has no type for, as the API writes it."""
    if isinstance(value, datetime):
        return clock.stamp(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _begin() -> None:
    g.request_id = accepted_id(request.headers.get("X-Request-Id", ""))
    g.began = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _refused(failure: errors.Failure) -> Response:
    caller = g.get("caller")
    security_log.note(
        failure,
        client=client_address(),
        caller=caller.sub if caller else None,
        organization_id=caller.organization_id if caller else None,
        route=str(request.url_rule),
    )
    return failure_response(failure)


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id()
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Content-Type-Options"] = "nosniff"
    from_machine = request.path in _HEALTH_PATHS or request.path.startswith("/internal/")
    if not from_machine or response.status_code >= 400:
        milliseconds = (time.perf_counter() - g.began) * 1000
        _LOG.info(
            "request",
            method=request.method,
            route=str(request.url_rule),
            status=response.status_code,
            ms=round(milliseconds, 1),
        )
    return response


def _http_error(error: HTTPException) -> Response:
    """Keep the headers of the original response (Allow, Retry-After), replace its body."""
    status = error.code or 500
    if isinstance(error, RequestEntityTooLarge):
        response = failure_response(body_limits.too_large(request.max_content_length or 0))
    else:
        code = _HTTP_CODES.get(status, (error.name or "error").lower().replace(" ", "_"))
        response = problem_response(status, code, error.description or error.name)
    for name, value in error.get_response().headers:
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _internal_error(problem: Exception) -> Response:
    _LOG.error("crashed", exc_info=problem)
    detail = "Something went wrong on our side. Nothing was changed. Try again."
    return problem_response(500, "internal_error", detail)
