"""The way of a request through the gateway, as plain WSGI. Only the gateway's own paths reach
Flask."""

import re
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from typing import Any
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIApplication

from chassis.errors import Failure, NotFound, Unauthenticated, Unavailable
from chassis.http import networks, prefer_wait, requests, security_log
from chassis.http.slots import Slot
from chassis.runtime import log

from gateway.clients import Feed, Upstream, UpstreamResponse
from gateway.guard import AddressMonitor, Capacity, Guard, Limits, slot_for
from gateway.views import kinds, routes
from gateway.views.bodies import read_body
from gateway.views.responses import problem_response, respond
from gateway.views.routes import Route, Routes

_LOG = log.get("gateway")
# Responses up to this size are read whole, which frees the upstream's connection at once.
_SMALL = 1024 * 1024
# A change has been made when its response arrives, so it is not refused for its length any more.
_READS = ("GET", "HEAD")
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
    "HTTP_X_BROWSER_ID": "X-Browser-Id",
}


class Forwarder:
    """Wraps Flask's ``wsgi_app``: checks and forwards routed requests, passes on those for the
    gateway itself. ``downloads``: where the downloads of a service go, if elsewhere;
    ``trusted_proxies``: whose X-Forwarded-For is believed."""

    def __init__(
        self,
        own: WSGIApplication,
        table: Routes,
        upstreams: Mapping[str, Upstream],
        downloads: Mapping[str, Upstream],
        guard: Guard,
        limits: Limits,
        capacity: Capacity,
        feeds: Iterable[Feed],
        *,
        monitor: AddressMonitor,
        trusted_proxies: networks.Networks,
    ) -> None:
        self._own, self._routes = own, table
        self._upstreams, self._downloads = upstreams, {**upstreams, **downloads}
        self._guard, self._limits, self._capacity = guard, limits, capacity
        self._feeds, self._monitor = tuple(feeds), monitor
        self._trusted_proxies = trusted_proxies

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        for feed in self._feeds:
            feed.start()
        path = requests.raw_path(environ)
        request_id = requests.accepted_id(environ.get("HTTP_X_REQUEST_ID", ""))
        began = time.perf_counter()
        route = self._routes.find(path)
        try:
            if path in routes.OWN:
                if path != routes.HEALTH:
                    self._limits.count_own(networks.client_address(self._trusted_proxies, environ))
                return self._own(environ, start_response)
            response = self._forward(environ, path, route, request_id)
        except Exception as problem:
            if isinstance(problem, Failure):
                security_log.note(
                    problem,
                    request_id=request_id,
                    client=networks.client_address(self._trusted_proxies, environ),
                    route=route.pattern if route else None,
                )
            response = problem_response(problem, f"{path}#{request_id}")
        _log_request(environ["REQUEST_METHOD"], path, route, response.status, began, request_id)
        return respond(response, request_id, start_response)

    def close(self) -> None:
        """Stop following the feeds."""
        for feed in self._feeds:
            feed.stop()

    def _forward(
        self, environ: dict[str, Any], path: str, route: Route | None, request_id: str
    ) -> UpstreamResponse:
        if route is None or route.service not in self._upstreams:
            raise NotFound("There is nothing at this address.", code="not_found")
        method = environ["REQUEST_METHOD"]
        headers = {name: environ[key] for key, name in _REQUEST_HEADERS.items() if environ.get(key)}
        headers["X-Request-Id"] = request_id
        headers["X-Forwarded-For"] = networks.client_address(self._trusted_proxies, environ)
        claims = self._check(environ, path, route, headers)
        is_download = kinds.is_download(environ, path)
        query = _query(environ)
        target = f"{path}?{query}" if query else path
        with ExitStack() as held:
            slot = held.enter_context(self._take_slot(environ, route, claims, headers, is_download))
            body = read_body(environ, route.body_limit)
            upstreams = self._downloads if is_download else self._upstreams
            with self._take_turn(environ, route, claims, is_download):
                response = upstreams[route.service].forward(method, target, headers, body)
                held.callback(response.close)
                is_long = not route.is_mailed and not _is_small(response)
                if not is_long:
                    response = _read_whole(response)
            if is_long and claims is not None and not is_download and method in _READS:
                held.enter_context(slot_for(self._capacity.downloads, claims))
                slot.release()
            return replace(response, close=held.pop_all().close)

    def _check(
        self, environ: Mapping[str, Any], path: str, route: Route, headers: dict[str, str]
    ) -> Mapping[str, Any] | None:
        """The claims of the request's token, None where it needs none; counts the request. The
        headers to forward get the token. Raises InvalidToken, TokenRevoked, Unavailable,
        TooMany."""
        authorization = str(environ.get("HTTP_AUTHORIZATION", ""))
        address = headers["X-Forwarded-For"]
        if route.is_open(environ["REQUEST_METHOD"], path):
            self._monitor.note(address)
            # A mailed link shows more to those who are signed in.
            if route.is_mailed and self._is_accepted(authorization):
                headers["Authorization"] = authorization
            return None
        headers["Authorization"] = authorization
        try:
            claims = self._guard.authenticate(authorization)
        except Unauthenticated:
            self._limits.count_refused(address)
            raise
        self._monitor.note(address, claims["sub"])
        self._limits.count_organization(claims["org"])
        return claims

    def _take_slot(
        self,
        environ: Mapping[str, Any],
        route: Route,
        claims: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        is_download: bool,
    ) -> Slot:
        """A slot for this kind of request. Raises TooManyAtOnce or Busy."""
        if claims is None:
            address = headers["X-Forwarded-For"]
            within = self._limits.is_within_rate(address)
            return self._capacity.take_without_token(address, is_within_rate=within)
        if is_download:
            return slot_for(self._capacity.downloads, claims)
        if kinds.is_upload(environ, route):
            return slot_for(self._capacity.uploads, claims)
        return slot_for(self._capacity.requests, claims)

    def _take_turn(
        self,
        environ: Mapping[str, Any],
        route: Route,
        claims: Mapping[str, Any] | None,
        is_download: bool,
    ) -> AbstractContextManager[None]:
        """The turn of an ordinary request. A change that waits for its outcome takes no processor
        meanwhile, so it needs none. Raises TooManyAtOnce."""
        waits = environ["REQUEST_METHOD"] not in _READS and prefer_wait.seconds_in(
            environ.get("HTTP_PREFER", "")
        )
        if is_download or kinds.is_upload(environ, route) or waits:
            return nullcontext()
        return self._capacity.take_turn(claims)

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
