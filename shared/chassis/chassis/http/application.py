"""The Flask application of a service: request ids, problem+json, health, the OpenAPI document."""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import structlog
from flask import Flask, Response, g, request
from flask_smorest import Api
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from chassis import errors
from chassis.auth.access import AccessControl, public
from chassis.auth.internal import internal
from chassis.http import body_limits
from chassis.http.parsing import Blueprint
from chassis.http.problems import Problem, problem_response, status_of
from chassis.http.requests import request_id, sane_id
from chassis.runtime import log

_LOG = log.get("web")


class ServiceApi(Api):
    """flask-smorest that documents and answers errors as problem+json."""

    ERROR_SCHEMA = Problem
    DEFAULT_ERROR_RESPONSE_NAME = None  # the gateway tells which refusals there may be

    def _register_responses(self) -> None:
        response = {
            "description": "Problem",
            "content": {"application/problem+json": {"schema": self.ERROR_SCHEMA}},
        }
        self.spec.components.response("Problem", response)
        self.spec.components.response("UNPROCESSABLE_ENTITY", response)

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Keep the headers of the original answer (Allow, Retry-After), replace its body."""
        answer = error.get_response()
        status = error.code or 500
        code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(
            status, (error.name or "error").lower().replace(" ", "_")
        )
        if isinstance(error, RequestEntityTooLarge):
            failure = body_limits.too_large(request.max_content_length or 0)
            problem = problem_response(status, failure.code, failure.detail)
        else:
            problem = problem_response(status, code, error.description or error.name)
        for name, value in answer.headers:
            if name not in ("Content-Type", "Content-Length"):
                problem.headers[name] = value
        return problem


def build(
    name: str,
    *,
    title: str,
    access: AccessControl | None,
    blueprints: Iterable[Blueprint | flask.Blueprint],
    ready: Mapping[str, Callable[[], None]],
) -> Flask:
    """A service's Flask application. Plain Flask blueprints are served but not documented.

    ``ready``: what ``/readyz`` asks; each raises when it is not there."""
    app = Flask(name, static_folder=None)
    app.config.update(
        API_TITLE=title,
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        MAX_CONTENT_LENGTH=body_limits.DEFAULT,
        PROPAGATE_EXCEPTIONS=False,
        JSON_SORT_KEYS=False,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    if access is not None:
        app.extensions["access_control"] = access
    app.before_request(_begin)
    app.after_request(_end)
    app.register_error_handler(errors.Failure, _failed)
    app.register_error_handler(Exception, _crashed)
    api = ServiceApi(app)
    for blueprint in blueprints:
        (api if isinstance(blueprint, Blueprint) else app).register_blueprint(blueprint)
    _add_health(app, ready)
    app.add_url_rule(
        "/internal/openapi.json",
        view_func=internal("gateway")(api.spec.to_dict),
        endpoint="openapi",
    )
    app.extensions["openapi"] = api
    return app


def _add_health(app: Flask, ready: Mapping[str, Callable[[], None]]) -> None:
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    def readyz() -> tuple[dict[str, Any], int]:
        with ThreadPoolExecutor(max(1, len(ready))) as pool:
            checks = dict(zip(ready, pool.map(_ask, ready.values()), strict=True))
        sound = all(answer == "ok" for answer in checks.values())
        return {"status": "ok" if sound else "unavailable", "checks": checks}, 200 if sound else 503

    app.add_url_rule("/healthz", view_func=public(healthz))
    app.add_url_rule("/readyz", view_func=public(readyz))


def _ask(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as problem:
        _LOG.warning("not_ready", exc_info=True)
        return type(problem).__name__
    return "ok"


def _begin() -> None:
    g.request_id = sane_id(request.headers.get("X-Request-Id", ""))
    g.began = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _end(answer: Response) -> Response:
    answer.headers["X-Request-Id"] = request_id()
    answer.headers.setdefault("Cache-Control", "no-store")
    answer.headers["X-Content-Type-Options"] = "nosniff"
    asked_by_machines = request.path in ("/healthz", "/readyz") or request.path.startswith(
        "/internal/"
    )
    if not asked_by_machines or answer.status_code >= 400:
        took = round((time.perf_counter() - g.began) * 1000, 1)
        _LOG.info(
            "request",
            method=request.method,
            route=str(request.url_rule),
            status=answer.status_code,
            ms=took,
        )
    return answer


def _failed(failure: errors.Failure) -> Response:
    return problem_response(status_of(failure), failure.code, failure.detail, failure.extra)


def _crashed(problem: Exception) -> Response:
    _LOG.error("crashed", exc_info=problem)
    return problem_response(
        500, "internal_error", "Something went wrong on our side. Try again; nothing was changed."
    )
