"""Ways to the services: over the network or in this process, and the feeds of what has been
revoked."""

import contextvars
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol
from wsgiref.types import WSGIApplication

import urllib3
from chassis.errors import Unavailable
from chassis.http.client import Answer, HttpTransport, InternalClient, Stream
from chassis.runtime import log
from urllib3 import HTTPHeaderDict

_LOG = log.get("clients")
_CHUNK = 64 * 1024
_END = object()


@dataclass(frozen=True)
class Reply:
    """An answer whose body may still be on its way. ``close`` whatever has not been read to its
    end."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: Iterable[bytes]
    close: Callable[[], None]

    def read(self) -> bytes:
        """The whole body. Raises Unavailable when it breaks off."""
        try:
            return b"".join(self.body)
        finally:
            self.close()


class Upstream(Protocol):
    """A service to which requests are forwarded; also a ``chassis.client.Transport``."""

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """Forward one request; ``target`` is path and query. Raises Unavailable."""
        ...

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """One small question of our own. Raises Unavailable."""
        ...


class HttpUpstream:
    """A service over the network: pooled, with time limits, never asked twice."""

    def __init__(
        self, url: str, *, connections: int = 16, connect: float = 2.0, read: float = 30.0
    ) -> None:
        self._pool = urllib3.connection_from_url(
            url,
            maxsize=connections,
            block=False,
            timeout=urllib3.Timeout(connect=connect, read=read),
        )
        self._own = HttpTransport(
            url, connections=4, connect=min(connect, 1.0), read=min(read, 3.0)
        )

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """Forward one request. Raises Unavailable."""
        try:
            answer = self._pool.urlopen(
                method,
                target,
                body=body or None,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
        except urllib3.exceptions.HTTPError as problem:
            raise _silent(problem) from problem
        return Reply(answer.status, list(answer.headers.items()), _chunks(answer), answer.close)

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """One small question of our own, with a short time limit. Raises Unavailable."""
        return self._own.send(method, path, headers, body)


class InProcess:
    """A service in this process: its WSGI application is called, in a context of its own, as over a
    network."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """Call the application; its body is produced as it is read."""
        started: list[Any] = []
        written: list[bytes] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Any:
            started[:] = [int(status[:3]), headers]
            return written.append

        context = contextvars.Context()
        body_of_app = context.run(
            self._app, _environ(method, target, headers, body), start_response
        )
        chunks = iter(body_of_app)
        first = b"" if started else context.run(next, chunks, b"")
        status, answered = started

        def remaining() -> Iterator[bytes]:
            yield from written
            if first:
                yield first
            while (chunk := context.run(next, chunks, _END)) is not _END:
                yield chunk  # type: ignore[misc]

        return Reply(
            status,
            answered,
            remaining(),
            lambda: context.run(getattr(body_of_app, "close", lambda: None)),
        )

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """One request, read to its end."""
        reply = self.ask(method, path, headers, body or b"")
        return Answer(reply.status, HTTPHeaderDict(reply.headers), reply.read())

    def stream(self, path: str, headers: Mapping[str, str]) -> Stream:
        """A GET whose answer is read as it is produced."""
        reply = self.ask("GET", path, headers)

        def pieces() -> Iterator[bytes]:
            try:
                yield from reply.body
            finally:
                reply.close()

        return Stream(reply.status, HTTPHeaderDict(reply.headers), pieces())


class Feed:
    """Follows one service's feed of revocations; ``learn`` is told every entry, some of them
    again."""

    def __init__(
        self,
        neighbour: InternalClient,
        learn: Callable[[Mapping[str, Any]], None],
        *,
        silence: float,
        pause: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._neighbour, self._learn, self._clock = neighbour, learn, clock
        self._silence, self._pause = silence, pause
        self._last = 0
        self._heard = float("-inf")
        self._loaded = threading.Event()
        self._started = threading.Lock()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Follow from now on, in a thread of this process; nothing when it already does."""
        if self._started.acquire(blocking=False):
            threading.Thread(target=self._follow, daemon=True, name="feed").start()

    def stop(self) -> None:
        """Follow no more."""
        self._stopped.set()

    def is_fresh(self) -> bool:
        """Whether all has been loaded and the service has answered lately; the first load is waited
        for."""
        return self._loaded.wait(1.0) and self._clock() - self._heard <= self._silence

    def check(self) -> None:
        """Raises Unavailable when the feed is not fresh."""
        if not self.is_fresh():
            raise Unavailable(
                "What has been revoked is not known just now. Try again.",
                code="service_unavailable",
                retry_after=2,
            )

    def poll(self) -> None:
        """Learn everything there is by now. Raises Unavailable."""
        asked_at = self._clock()
        while self._turn_page():
            pass
        self._heard = asked_at
        self._loaded.set()

    def _turn_page(self) -> bool:
        """Ask once; whether there may be more at once."""
        answer = self._neighbour.get(f"/internal/revocations?after={self._last}")
        for entry in answer["entries"]:
            self._learn(entry)
        known, last = self._last, int(answer["last"])
        self._last = max((int(entry["seq"]) for entry in answer["entries"]), default=last)
        if last < known:  # the service counts anew: so do we
            self._last = 0
            return True
        self._last = max(self._last, known)
        return known < self._last < last

    def _follow(self) -> None:
        silent = False
        while not self._stopped.is_set():
            try:
                self.poll()
                silent = False
            except Exception as problem:
                if not silent:
                    _LOG.warning("feed.silent", problem=type(problem).__name__)
                silent = True
            self._stopped.wait(self._pause)


def _chunks(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    try:
        yield from answer.stream(_CHUNK, decode_content=False)
    except urllib3.exceptions.HTTPError as problem:
        raise _silent(problem) from problem
    answer.release_conn()


def _silent(problem: Exception) -> Unavailable:
    detail = "A part of the system does not answer. Try again."
    if isinstance(problem, urllib3.exceptions.TimeoutError | urllib3.exceptions.ProtocolError):
        detail = "The answer was lost or too late. Ask again with the same Idempotency-Key."
    return Unavailable(detail, code="service_unavailable", retry_after=1)


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
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return environ
