"""What the proxy does in the distributed mode: API requests go to the gateway, pages to the
console."""

import re
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from chassis.errors import TooMany
from chassis.http import requests
from gateway.guard import RateLimit

_WINDOW = 10
_MAX_PATH = 2048
_API = re.compile(r"/(?:v1|internal)(?:/.*)?|/healthz|/readyz")
# No percent sign, no empty segment, none that begins with a dot: each page has one address.
_CANONICAL = re.compile(r"/|(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+")
_TOO_MANY = b"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>Too many requests</title><h1>Too many requests</h1>
<p>Wait a moment, then reload the page.</p></html>
"""


def is_page(path: str) -> bool:
    """Whether the console serves the path. Everything else, unusual spellings too, is for the
    gateway to serve or refuse."""
    if len(path) > _MAX_PATH or _API.fullmatch(path):
        return False
    return _CANONICAL.fullmatch(path) is not None


class Dispatcher:
    """The public WSGI application of the embedded mode. ``page_rate``: pages, and parts of pages,
    per client address in ten seconds; ``proxies``: whose X-Forwarded-For is believed."""

    def __init__(
        self,
        gateway: WSGIApplication,
        console: WSGIApplication,
        *,
        page_rate: int,
        proxies: requests.Networks,
    ) -> None:
        self._gateway, self._console = gateway, console
        self._pages, self._proxies = RateLimit(page_rate, _WINDOW), proxies

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if not is_page(requests.raw_path(environ)):
            return self._gateway(environ, start_response)
        try:
            self._pages.count(requests.address_behind(self._proxies, environ))
        except TooMany as problem:
            return _refuse(problem, start_response)
        # The console knows people by its cookie; tokens are the API's.
        environ.pop("HTTP_AUTHORIZATION", None)
        return self._console(environ, start_response)


def _refuse(problem: TooMany, start_response: StartResponse) -> Iterable[bytes]:
    headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(_TOO_MANY))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Retry-After", str(problem.extra["retry_after"])),
    ]
    start_response("429 Too Many Requests", headers)
    return [_TOO_MANY]
