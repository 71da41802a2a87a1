"""Problem details (RFC 9457): one table from kinds of failure to status codes, one way to build
the response."""

from collections.abc import Mapping
from typing import Any

import marshmallow as ma
from flask import Response, request

from chassis import errors
from chassis.http.fields import ErrorItem
from chassis.http.requests import request_id
from chassis.http.responses import json_response

STATUS: Mapping[type[errors.Failure], int] = {
    errors.Unreadable: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Gone: 410,
    errors.PreconditionFailed: 412,
    errors.TooLarge: 413,
    errors.UnsupportedMedia: 415,
    errors.Invalid: 422,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}


class Problem(ma.Schema):
    """RFC 9457 problem details. ``code`` is stable; further members depend on it."""

    class Meta:
        unknown = ma.INCLUDE

    type = ma.fields.String(required=True)
    title = ma.fields.String(required=True)
    status = ma.fields.Integer(required=True)
    detail = ma.fields.String(required=True)
    instance = ma.fields.String(required=True)
    code = ma.fields.String(required=True)
    errors = ma.fields.List(ma.fields.Nested(ErrorItem))


def problem_about(
    instance: str, status: int, code: str, detail: str, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The members of a problem about this instance; works outside Flask."""
    return {
        "type": f"urn:clientele:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        **(extra or {}),
    }


def problem_response(
    status: int, code: str, detail: str, extra: Mapping[str, Any] | None = None
) -> Response:
    """A problem+json response about this request."""
    extra = extra or {}
    body = problem_about(f"{request.path}#{request_id()}", status, code, detail, extra)
    response = json_response(body, status, content_type="application/problem+json")
    if status in (429, 503) or "retry_after" in extra:
        response.headers["Retry-After"] = str(extra.get("retry_after", 1))
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def failure_response(failure: errors.Failure) -> Response:
    """The problem+json response for a failure."""
    return problem_response(status_of(failure), failure.code, failure.detail, failure.extra)


def status_of(failure: errors.Failure) -> int:
    """The status code of a kind of failure."""
    return next(STATUS[kind] for kind in type(failure).__mro__ if kind in STATUS)
