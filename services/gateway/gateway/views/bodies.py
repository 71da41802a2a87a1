"""Reading a request's body within its limit."""

from collections.abc import Mapping
from typing import Any

from chassis.errors import Unreadable, UnsupportedMedia
from chassis.http import body_limits

_CHUNK = 64 * 1024


def read_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """The whole body, counted while it is read. Raises TooLarge, Unreadable or UnsupportedMedia."""
    if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise UnsupportedMedia(
            "Send the request body without Content-Encoding.", code="unsupported_media_type"
        )
    announced = environ.get("CONTENT_LENGTH") or ""
    if not announced:
        # Without a length there is a body only where the server marks its end (chunked).
        body = _read(environ, limit + 1) if environ.get("wsgi.input_terminated") else b""
        if len(body) > limit:
            raise body_limits.too_large(limit)
        return body
    if not (announced.isascii() and announced.isdigit()):
        raise Unreadable("The Content-Length is not a number.", code="unreadable_body")
    length = int(announced)
    if length > limit:
        raise body_limits.too_large(limit)
    body = _read(environ, length)
    if len(body) < length:
        raise Unreadable(
            "The request body is shorter than its Content-Length.", code="unreadable_body"
        )
    return body


def _read(environ: Mapping[str, Any], length: int) -> bytes:
    """At most ``length`` bytes."""
    source = environ["wsgi.input"]
    parts: list[bytes] = []
    try:
        while length > 0 and (part := source.read(min(length, _CHUNK))):
            parts.append(part)
            length -= len(part)
    except Exception as problem:  # the server's own errors: broken chunks, a client that is gone
        raise Unreadable(
            "The request body could not be read to its end.", code="unreadable_body"
        ) from problem
    return b"".join(parts)
