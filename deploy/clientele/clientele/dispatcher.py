"""What the proxy does in the distributed mode: API requests go to the gateway, pages to the
console."""

import re
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from chassis.errors import TooMany
from chassis.http import networks, requests
from gateway.guard import RateLimit

_WINDOW = 10
_MAX_PATH = 2048
_API = re.compile(r"/(?:v1|internal|\.well-known)(?:/.*)?|/healthz|/readyz")
# No percent sign, no empty segment, none that begins with a dot: each page has one address.
_CANONICAL = re.compile(r"/|(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+")
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>{title}</title><h1>{title}</h1>
<p>{text}</p></html>
"""
_TOO_MANY = _PAGE.format(title="Too many requests", text="Wait a moment, then reload the page.")
_NOT_FOUND = _PAGE.format(
    title="Page not found",
    text='There is no page at this address. <a href="/">Go to the start page</a>',
)


def is_page(path: str) -> bool:
    """Whether the console serves the path."""
    if len(path) > _MAX_PATH or _API.fullmatch(path):
        return False
    return _CANONICAL.fullmatch(path) is not None


class Dispatcher:
    """The public WSGI application of the embedded mode. ``page_rate``: pages, and parts of pages,
    per client address in ten seconds; ``trusted_proxies``: whose X-Forwarded-For is
    believed."""

    def __init__(
        self,
        gateway: WSGIApplication,
        console: WSGIApplication,
        *,
        page_rate: int,
        trusted_proxies: networks.Networks,
    ) -> None:
        self._gateway, self._console = gateway, console
        self._pages, self._trusted_proxies = RateLimit(page_rate, _WINDOW), trusted_proxies

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = requests.raw_path(environ)
        if not is_page(path):
            if not _API.fullmatch(path) and "text/html" in environ.get("HTTP_ACCEPT", ""):
                if location := _without_slash(path, environ.get("QUERY_STRING", "")):
                    return _respond("308 Permanent Redirect", "", start_response, location)
                return _respond("404 Not Found", _NOT_FOUND, start_response)
            return self._gateway(environ, start_response)
        try:
            address = networks.client_address(self._trusted_proxies, environ)
            self._pages.count(networks.network_of(address))
        except TooMany as problem:
            retry_after = ("Retry-After", str(problem.extra["retry_after"]))
            return _respond("429 Too Many Requests", _TOO_MANY, start_response, retry_after)
        # The console knows people by its cookie; tokens are the API's.
        environ.pop("HTTP_AUTHORIZATION", None)
        return self._console(environ, start_response)


def _without_slash(path: str, query: str) -> tuple[str, str] | None:
    """The Location of the page whose address ends with a slash here; None if it is no such."""
    shorter = path.rstrip("/")
    if not path.endswith("/") or not shorter or not is_page(shorter):
        return None
    return "Location", shorter + (f"?{query}" if query else "")


def _respond(
    status: str, page: str, start_response: StartResponse, *more: tuple[str, str]
) -> Iterable[bytes]:
    body = page.encode()
    headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
        *more,
    ]
    start_response(status, headers)
    return [body]
