"""The way of a request through the gateway, as plain WSGI: only what is the gateway's own reaches
Flask."""

import json
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from http.client import responses
from typing import Any
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIApplication

from chassis.errors import (
    Failure,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unreadable,
    UnsupportedMedia,
)
from chassis.http import body_limits, problems, requests
from chassis.runtime import log

from gateway.clients import Feed, Reply, Upstream
from gateway.guard import Guard, Limits
from gateway.views import routes
from gateway.views.routes import Route

_LOG = log.get("gateway")
_SMALL = 64 * 1024
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{title}</title>
<h1>{title}</h1><p>{detail}</p><p><a href="/">Home</a></p><p><small>{status} · {instance}</small></p></html>
"""
_LEGAL = "%!$&'()*+,;=:@/?"
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ASKED = {
    "HTTP_ACCEPT": "Accept",
    "HTTP_ACCEPT_LANGUAGE": "Accept-Language",
    "CONTENT_TYPE": "Content-Type",
    "HTTP_IDEMPOTENCY_KEY": "Idempotency-Key",
    "HTTP_IF_MATCH": "If-Match",
    "HTTP_IF_NONE_MATCH": "If-None-Match",
    "HTTP_PREFER": "Prefer",
    "HTTP_USER_AGENT": "User-Agent",
}
# What a page needs beside: who the browser is, and where its form was.
_SHOWN = {
    "HTTP_ACCEPT_ENCODING": "Accept-Encoding",
    "HTTP_COOKIE": "Cookie",
    "HTTP_HOST": "Host",
    "HTTP_ORIGIN": "Origin",
    "HTTP_REFERER": "Referer",
    "HTTP_SEC_FETCH_SITE": "Sec-Fetch-Site",
    "HTTP_HX_REQUEST": "HX-Request",
    "HTTP_HX_CURRENT_URL": "HX-Current-URL",
    "HTTP_X_CSRF_TOKEN": "X-CSRF-Token",
    "HTTP_X_DIALOG": "X-Dialog",
}
_OF_PAGES = {
    "content-encoding",
    "content-security-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "hx-redirect",
    "hx-replace-url",
    "permissions-policy",
    "referrer-policy",
    "set-cookie",
    "strict-transport-security",
    "x-frame-options",
    "x-location",
}
_ANSWERED = {
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
    """Wraps Flask's ``wsgi_app``: checks and forwards what the table knows, hands on what is the
    gateway's own."""

    def __init__(
        self,
        own: WSGIApplication,
        upstreams: Mapping[str, Upstream],
        guard: Guard,
        limits: Limits,
        feeds: Iterable[Feed],
        *,
        seats: int,
    ) -> None:
        self._own, self._upstreams, self._guard, self._limits = own, upstreams, guard, limits
        self._feeds = tuple(feeds)
        self._seats = threading.BoundedSemaphore(seats)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        for feed in self._feeds:
            feed.start()
        path = _raw_path(environ)
        if path in routes.OWN:
            return self._own(environ, start_response)
        began = time.perf_counter()
        request_id = requests.sane_id(environ.get("HTTP_X_REQUEST_ID", ""))
        route = routes.find(path)
        try:
            reply = self._forward(environ, path, route, request_id)
        except Exception as problem:
            looks = (route is None or route.is_pages) and "text/html" in environ.get(
                "HTTP_ACCEPT", ""
            )
            reply = _refused(problem, f"{path}#{request_id}", as_page=looks)
        _LOG.info(
            "request",
            request_id=request_id,
            method=environ["REQUEST_METHOD"],
            status=reply.status,
            route=route.pattern if route else None,
            upstream=route.service if route else None,
            **({"path": path} if route and not (route.is_mailed or route.is_pages) else {}),
            ms=round((time.perf_counter() - began) * 1000, 1),
        )
        passed = _ANSWERED | _OF_PAGES if route and route.is_pages else _ANSWERED
        return _answer(reply, passed, request_id, start_response)

    def close(self) -> None:
        """Follow the feeds no more."""
        for feed in self._feeds:
            feed.stop()

    def _forward(
        self, environ: dict[str, Any], path: str, route: Route | None, request_id: str
    ) -> Reply:
        upstream = self._upstreams.get(route.service) if route else None
        if route is None or upstream is None:
            raise NotFound("There is nothing here.", code="not_found")
        method = environ["REQUEST_METHOD"]
        headers = {name: environ[key] for key, name in _ASKED.items() if environ.get(key)}
        headers["X-Request-Id"] = request_id
        headers["X-Forwarded-For"] = address = self._limits.address_of(environ)
        if route.is_pages:
            self._limits.count_page(address)
            headers |= {name: environ[key] for key, name in _SHOWN.items() if environ.get(key)}
        elif route.is_open(method, path):
            self._limits.count_address(address)
            if route.is_mailed and (given := self._known(environ)):
                headers["Authorization"] = given
        else:
            headers["Authorization"] = given = environ.get("HTTP_AUTHORIZATION", "")
            self._limits.count_organization(self._guard.authenticate(given)["org"])
        query = _query(environ)
        body = _body(environ, route.body_limit)
        target = f"{path}?{query}" if query else path
        if route.is_pages:
            return self._page(upstream, method, target, headers, body)
        reply = upstream.ask(method, target, headers, body)
        return _whole(reply) if route.is_mailed or _is_small(reply) else reply

    def _page(
        self, upstream: Upstream, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        """While a page is made the console asks us: were all our threads busy with pages, none
        would answer it."""
        if not self._seats.acquire(blocking=False):
            raise Unavailable(
                "Too many pages are being made. Try again.",
                code="service_unavailable",
                retry_after=1,
            )
        release = [self._seats.release]
        try:
            reply = upstream.ask(method, target, headers, body)
        except BaseException:
            release.pop()()
            raise

        def close() -> None:
            reply.close()
            if release:
                release.pop()()

        seated = Reply(reply.status, reply.headers, reply.body, close)
        return _whole(seated) if _is_small(seated) else seated

    def _known(self, environ: Mapping[str, Any]) -> str:
        """What somebody signed in shows where nobody needs to; nothing where it is no good any
        more."""
        given = str(environ.get("HTTP_AUTHORIZATION", ""))
        try:
            return given if given and self._guard.authenticate(given) else ""
        except (Unauthenticated, Unavailable):
            return ""


def _raw_path(environ: Mapping[str, Any]) -> str:
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO", "")
    return str(raw).partition("?")[0]


def _query(environ: Mapping[str, Any]) -> str:
    """The query, with what no address may hold spelt in percent: whoever reads it on the way reads
    the same."""
    raw = str(environ.get("QUERY_STRING", "")).encode("latin-1")
    return _LONE_PERCENT.sub("%25", quote(raw, safe=_LEGAL))


def _body(environ: Mapping[str, Any], limit: int) -> bytes:
    """The whole body, counted while it is read. Raises TooLarge, Unreadable or UnsupportedMedia."""
    if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise UnsupportedMedia(
            "Send the body as it is, not encoded.", code="unsupported_media_type"
        )
    announced = environ.get("CONTENT_LENGTH") or ""
    if announced:
        if not (announced.isascii() and announced.isdigit()):
            raise Unreadable("The length of the body can't be read.", code="unreadable_body")
        length = int(announced)
    elif environ.get("wsgi.input_terminated"):
        length = limit + 1
    else:
        return b""
    if announced and length > limit:
        raise body_limits.too_large(limit)
    body = _read(environ["wsgi.input"], length)
    if len(body) > limit:
        raise body_limits.too_large(limit)
    if announced and len(body) < length:
        raise Unreadable("The body broke off.", code="unreadable_body")
    return body


def _read(source: Any, length: int) -> bytes:
    parts: list[bytes] = []
    try:
        while length > 0 and (part := source.read(min(length, _SMALL))):
            parts.append(part)
            length -= len(part)
    except (
        Exception
    ) as problem:  # whatever the server says to chunks that are none, or to a client that has gone
        raise Unreadable("The body can't be read to its end.", code="unreadable_body") from problem
    return b"".join(parts)


def _is_small(reply: Reply) -> bool:
    length = next((value for name, value in reply.headers if name.lower() == "content-length"), "")
    return length.isdigit() and int(length) <= _SMALL


def _whole(reply: Reply) -> Reply:
    body = reply.read()
    return Reply(reply.status, reply.headers, (body,), lambda: None)


def _refused(problem: Exception, instance: str, *, as_page: bool) -> Reply:
    if isinstance(problem, Failure):
        status, extra = problems.status_of(problem), problem.extra
        about = problems.problem_about(instance, status, problem.code, problem.detail, extra)
    else:
        _LOG.error("crashed", exc_info=problem)
        status, extra = 500, {}
        about = problems.problem_about(
            instance, status, "internal_error", "Something went wrong on our side. Try again."
        )
    kind, text = _page(about) if as_page else ("application/problem+json", json.dumps(about))
    headers = [("Content-Type", kind)]
    if status in (429, 503):
        headers.append(("Retry-After", str(extra.get("retry_after", 1))))
    if status == 401:
        headers.append(("WWW-Authenticate", "Bearer"))
    body = text.encode()
    return Reply(status, [*headers, ("Content-Length", str(len(body)))], (body,), lambda: None)


def _page(about: Mapping[str, Any]) -> tuple[str, str]:
    """The same for people, where nothing of the console can be shown."""
    words = {name: escape(str(about[name])) for name in ("title", "status", "detail", "instance")}
    return "text/html; charset=utf-8", _PAGE.format_map(words)


def _answer(
    reply: Reply, passed: set[str], request_id: str, start_response: StartResponse
) -> Iterable[bytes]:
    headers = [(name, value) for name, value in reply.headers if name.lower() in passed]
    if not any(name.lower() == "cache-control" for name, _ in headers):
        headers.append(("Cache-Control", "no-store"))
    headers += [("X-Request-Id", request_id), ("X-Content-Type-Options", "nosniff")]
    start_response(f"{reply.status} {responses.get(reply.status, 'Unknown')}", headers)
    return reply.body if isinstance(reply.body, tuple) else _Stream(reply, request_id)


class _Stream:
    """A body on its way; when it breaks off the connection is cut, so that nobody takes half for
    all."""

    def __init__(self, reply: Reply, request_id: str) -> None:
        self._reply, self._request_id = reply, request_id

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._reply.body
        except Exception:
            _LOG.warning("stream.broken", request_id=self._request_id)
            raise

    def close(self) -> None:
        """Called by the server at the end, also when the client has gone."""
        self._reply.close()
