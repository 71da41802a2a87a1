"""Calling a service: over the network, or in this process."""

import contextvars
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol
from wsgiref.types import WSGIApplication

from chassis.errors import Unavailable
from chassis.http import networks, transport
from chassis.http.client import ServiceResponse, Stream
from chassis.http.transport import HttpTransport
from urllib3 import HTTPHeaderDict

from gateway.clients.connections import FAILURES, Connections, Response

_LOST = "The response was lost or too late. Try again with the same Idempotency-Key."
_END = object()


@dataclass(frozen=True)
class UpstreamResponse:
    """A service's response; its body may still be on its way. Call ``close`` unless the body has
    been read to its end."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: Iterable[bytes]
    close: Callable[[], None]

    def read(self) -> bytes:
        """The whole body. Raises Unavailable when the connection breaks."""
        try:
            return b"".join(self.body)
        finally:
            self.close()


class Upstream(Protocol):
    """A service that requests are forwarded to; also a ``chassis.http.client.Transport``."""

    def forward(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> UpstreamResponse:
        """Forward one request; ``target`` is path and query. Raises Unavailable."""
        ...

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> ServiceResponse:
        """Send a small request of our own. Raises Unavailable."""
        ...


class HttpUpstream:
    """A service over the network: pooled connections, time-outs in seconds, no retries.
    ``authorities``: as of ``HttpTransport``."""

    def __init__(
        self,
        url: str,
        *,
        authorities: str = "",
        connections: int = 16,
        connect: float = 2.0,
        read: float = 30.0,
    ) -> None:
        self._connections = Connections(
            url, authorities=authorities, kept=connections, connect=connect, read=read
        )
        # Our own requests are small, so a slow service is given up sooner.
        self._own = HttpTransport(
            url,
            authorities=authorities,
            connections=4,
            connect=min(connect, 1.0),
            read=min(read, 3.0),
        )

    def forward(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> UpstreamResponse:
        """Forward one request. Raises Unavailable."""
        try:
            connection = self._connections.connection()
        except OSError as problem:
            raise _unavailable(problem, is_lost=isinstance(problem, TimeoutError)) from problem
        try:
            response = self._connections.send(connection, method, target, headers, body)
        except FAILURES as problem:
            raise _unavailable(problem, is_lost=True) from problem
        return UpstreamResponse(response.status, response.headers, _body(response), response.end)

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> ServiceResponse:
        """Send a small request of our own, with short time-outs. Raises Unavailable."""
        return self._own.send(method, path, headers, body)


class InProcess:
    """A service in this process. Its WSGI application runs in a context of its own, as if it were
    called over the network."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def forward(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> UpstreamResponse:
        """Call the application; the response's body is produced while it is read."""
        started: list[Any] = []
        written: list[bytes] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Any:
            started[:] = [int(status[:3]), headers]
            return written.append

        context = contextvars.Context()
        environ = _environ(method, target, headers, body)
        result = context.run(self._app, environ, start_response)
        chunks = iter(result)
        # A generator may call start_response only when its first chunk is asked for.
        first = b"" if started else context.run(next, chunks, b"")
        status, response_headers = started

        def remaining() -> Iterator[bytes]:
            yield from written
            if first:
                yield first
            while (chunk := context.run(next, chunks, _END)) is not _END:
                yield chunk  # type: ignore[misc]

        def close() -> None:
            if hasattr(result, "close"):
                context.run(result.close)

        return UpstreamResponse(status, response_headers, remaining(), close)

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> ServiceResponse:
        """Send one request and read the whole response."""
        response = self.forward(method, path, headers, body or b"")
        return ServiceResponse(response.status, HTTPHeaderDict(response.headers), response.read())

    def stream(self, path: str, headers: Mapping[str, str]) -> Stream:
        """A GET whose response is read while it is produced."""
        response = self.forward("GET", path, headers)

        def chunks() -> Iterator[bytes]:
            try:
                yield from response.body
            finally:
                response.close()

        return Stream(response.status, HTTPHeaderDict(response.headers), chunks())


def _body(response: Response) -> Iterator[bytes]:
    try:
        yield from response.chunks()
    except FAILURES as problem:
        raise _unavailable(problem, is_lost=True) from problem
    finally:
        response.end()


def _unavailable(problem: Exception, *, is_lost: bool) -> Unavailable:
    failure = transport.unavailable(problem)
    if is_lost:
        failure.detail = _LOST
    return failure


def _environ(method: str, target: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": target,
        "REQUEST_URI": target,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        networks.IN_PROCESS: True,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        environ[key] = value
    return environ
