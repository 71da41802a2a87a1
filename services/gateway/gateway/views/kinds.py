"""Kinds of requests that have limits of their own, known by the request alone."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from chassis.http import body_limits
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from gateway.views.routes import Route

_FILES = (".pdf", ".csv", ".jsonl")
_TYPES = ("application/json", "text/csv", "application/pdf")


def is_download(environ: dict[str, Any], path: str) -> bool:
    """Whether it asks for a file: by the ending of its path, or by preferring CSV or PDF."""
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return False
    return path.endswith(_FILES) or _prefers_file(environ.get("HTTP_ACCEPT", ""))


@lru_cache(maxsize=256)
def _prefers_file(accept: str) -> bool:
    accepted = parse_accept_header(accept, MIMEAccept)
    return accepted.best_match(_TYPES, _TYPES[0]) != _TYPES[0]


def is_upload(environ: Mapping[str, Any], route: Route) -> bool:
    """Whether its body may be larger than those of ordinary requests."""
    if route.body_limit <= body_limits.DEFAULT:
        return False
    length = str(environ.get("CONTENT_LENGTH") or "0")
    is_long = length.isdigit() and int(length) > body_limits.DEFAULT
    return is_long or bool(environ.get("HTTP_TRANSFER_ENCODING"))
