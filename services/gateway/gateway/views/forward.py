"""The way of a request through the gateway, as plain WSGI. Only the gateway's own paths reach
Flask."""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from http.client import responses
from typing import Any
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIApplication

from chassis.errors import Failure, NotFound, Unauthenticated, Unavailable
from chassis.http import networks, problems, requests
from chassis.runtime import log

from gateway.clients import Feed, Upstream, UpstreamResponse
from gateway.guard import AddressMonitor, Guard, Limits
from gateway.views import routes
from gateway.views.bodies import read_body
from gateway.views.routes import Route, Routes

_LOG = log.get("gateway")
# Responses up to this size are read whole, which frees the upstream's connection at once.
_SMALL = 64 * 1024
_LEGAL_IN_QUERY = "%!$&'()*+,;=:@/?"
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_REQUEST_HEADERS = {
    "HTTP_ACCEPT": "Accept",
    "HTTP_ACCEPT_LANGUAGE": "Accept-Language",
    "CONTENT_TYPE": "Content-Type",
    "HTTP_IDEMPOTENCY_KEY": "Idempotency-Key",
    "HTTP_IF_MATCH": "If-Match",
    "HTTP_IF_NONE_MATCH": "If-None-Match",
    "HTTP_PREFER": "Prefer",
    "HTTP_USER_AGENT": "User-Agent",
}
_RESPONSE_HEADERS = {
    "allow",
    "cache-control",
    "content-disposition",
    "content-language",
    "content-length",
    "content-type",
    "etag",
    "idempotent-replayed",
    "last-modified",
    "link",
    "location",
    "preference-applied",
    "retry-after",
    "vary",
    "www-authenticate",
}


class Forwarder:
    """Wraps Flask's ``wsgi_app``: checks and forwards routed requests, passes on those for the
    gateway itself. ``trusted_proxies``: whose X-Forwarded-For is
    believed."""

    def __init__(
        self,
        own: WSGIApplication,
        table: Routes,
        upstreams: Mapping[str, Upstream],
        guard: Guard,
        limits: Limits,
        feeds: Iterable[Feed],
        *,
        monitor: AddressMonitor,
        trusted_proxies: networks.Networks,
    ) -> None:
        self._own, self._routes, self._upstreams = own, table, upstreams
        self._guard, self._limits, self._trusted_proxies = guard, limits, trusted_proxies
        self._feeds, self._monitor = tuple(feeds), monitor

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        for feed in self._feeds:
            feed.start()
        path = requests.raw_path(environ)
        if path in routes.OWN:
            return self._own(environ, start_response)
        began = time.perf_counter()
        request_id = requests.accepted_id(environ.get("HTTP_X_REQUEST_ID", ""))
        route = self._routes.find(path)
        try:
            response = self._forward(environ, path, route, request_id)
        except Exception as problem:
            response = _problem_response(problem, f"{path}#{request_id}")
        _log_request(environ["REQUEST_METHOD"], path, route, response.status, began, request_id)
        return _respond(response, request_id, start_response)

    def close(self) -> None:
        """Stop following the feeds."""
        for feed in self._feeds:
            feed.stop()

    def _forward(
        self, environ: dict[str, Any], path: str, route: Route | None, request_id: str
    ) -> UpstreamResponse:
        upstream = self._upstreams.get(route.service) if route else None
        if route is None or upstream is None:
            raise NotFound("There is nothing at this address.", code="not_found")
        method = environ["REQUEST_METHOD"]
        address = networks.client_address(self._trusted_proxies, environ)
        headers = {name: environ[key] for key, name in _REQUEST_HEADERS.items() if environ.get(key)}
        headers["X-Request-Id"] = request_id
        headers["X-Forwarded-For"] = address
        authorization = str(environ.get("HTTP_AUTHORIZATION", ""))
        if route.is_open(method, path):
            self._monitor.note(address)
            self._limits.count_address(address)
            # A mailed link shows more to those who are signed in.
            if route.is_mailed and self._is_accepted(authorization):
                headers["Authorization"] = authorization
        else:
            headers["Authorization"] = authorization
            claims = self._guard.authenticate(authorization)
            self._monitor.note(address, claims["sub"])
            self._limits.count_organization(claims["org"])
        query = _query(environ)
        target = f"{path}?{query}" if query else path
        body = read_body(environ, route.body_limit)
        response = upstream.forward(method, target, headers, body)
        return _read_whole(response) if route.is_mailed or _is_small(response) else response

    def _is_accepted(self, authorization: str) -> bool:
        if not authorization:
            return False
        try:
            self._guard.authenticate(authorization)
        except (Unauthenticated, Unavailable):
            return False
        return True


def _query(environ: Mapping[str, Any]) -> str:
    """The query with illegal characters percent-encoded, so that everyone on the way reads the
    same."""
    raw = str(environ.get("QUERY_STRING", "")).encode("latin-1")
    return _LONE_PERCENT.sub("%25", quote(raw, safe=_LEGAL_IN_QUERY))


def _is_small(response: UpstreamResponse) -> bool:
    lengths = [value for name, value in response.headers if name.lower() == "content-length"]
    return bool(lengths) and lengths[0].isdigit() and int(lengths[0]) <= _SMALL


def _read_whole(response: UpstreamResponse) -> UpstreamResponse:
    body = response.read()
    return UpstreamResponse(response.status, response.headers, (body,), lambda: None)


def _problem_response(problem: Exception, instance: str) -> UpstreamResponse:
    if isinstance(problem, Failure):
        status, extra = problems.status_of(problem), problem.extra
        code, detail = problem.code, problem.detail
    else:
        _LOG.error("request.failed", exc_info=problem)
        status, extra = 500, {}
        code, detail = "internal_error", "Something went wrong on our side. Try again."
    body = json.dumps(problems.problem_about(instance, status, code, detail, extra)).encode()
    headers = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(body)))]
    if status in (429, 503):
        headers.append(("Retry-After", str(extra.get("retry_after", 1))))
    if status == 401:
        headers.append(("WWW-Authenticate", "Bearer"))
    return UpstreamResponse(status, headers, (body,), lambda: None)


def _log_request(
    method: str, path: str, route: Route | None, status: int, began: float, request_id: str
) -> None:
    logged_path = {"path": path} if route and not route.is_mailed else {}
    _LOG.info(
        "request",
        request_id=request_id,
        method=method,
        status=status,
        route=route.pattern if route else None,
        upstream=route.service if route else None,
        **logged_path,
        ms=round((time.perf_counter() - began) * 1000, 1),
    )


def _respond(
    response: UpstreamResponse, request_id: str, start_response: StartResponse
) -> Iterable[bytes]:
    headers = [pair for pair in response.headers if pair[0].lower() in _RESPONSE_HEADERS]
    if not any(name.lower() == "cache-control" for name, _ in headers):
        headers.append(("Cache-Control", "no-store"))
    headers += [("X-Request-Id", request_id), ("X-Content-Type-Options", "nosniff")]
    start_response(f"{response.status} {responses.get(response.status, 'Unknown')}", headers)
    return response.body if isinstance(response.body, tuple) else _Stream(response, request_id)


class _Stream:
    """A body on its way. When it breaks off, the connection is cut, so that no client takes a part
    for the whole."""

    def __init__(self, response: UpstreamResponse, request_id: str) -> None:
        self._response, self._request_id = response, request_id

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.body
        except Exception:
            _LOG.warning("stream.broken", request_id=self._request_id)
            raise

    def close(self) -> None:
        """Called by the server at the end, also when the client is gone."""
        self._response.close()
