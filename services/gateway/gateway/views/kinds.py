"""Kinds of requests that have limits of their own, known by the request alone."""

from collections.abc import Mapping
from typing import Any

from chassis.http import body_limits
from flask import Request

from gateway.views.routes import Route

_FILES = (".pdf", ".csv", ".jsonl")
_TYPES = ("application/json", "text/csv", "application/pdf")


def is_download(environ: dict[str, Any], path: str) -> bool:
    """Whether it asks for a file: by the ending of its path, or by preferring CSV or PDF."""
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        return False
    accepted = Request(environ, populate_request=False).accept_mimetypes
    return path.endswith(_FILES) or accepted.best_match(_TYPES, _TYPES[0]) != _TYPES[0]


def is_upload(environ: Mapping[str, Any], route: Route) -> bool:
    """Whether its body may be larger than those of ordinary requests."""
    if route.body_limit <= body_limits.DEFAULT:
        return False
    length = str(environ.get("CONTENT_LENGTH") or "0")
    is_long = length.isdigit() and int(length) > body_limits.DEFAULT
    return is_long or bool(environ.get("HTTP_TRANSFER_ENCODING"))
