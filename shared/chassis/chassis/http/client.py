"""Asking another service over HTTP, or in this process on the embedded footing."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import urllib3

from chassis.errors import Unavailable

_PIECE = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Stream:
    """What comes back, piece by piece; the pieces are read to their end, or closed."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


class Transport(Protocol):
    """A way to reach one service."""

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """One request. Raises Unavailable when the service does not answer."""
        ...


class StreamingTransport(Transport, Protocol):
    """A wire that long answers come by, too."""

    def stream(self, path: str, headers: Mapping[str, str]) -> Stream:
        """A GET whose answer is read as it comes. Raises Unavailable, also while it is read."""
        ...


class HttpTransport:
    """Over the network: pooled, with time limits, never retried here."""

    def __init__(
        self, url: str, *, connections: int = 16, connect: float = 2.0, read: float = 30.0
    ) -> None:
        self.url = url.rstrip("/")
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=False,
            retries=False,
            timeout=urllib3.Timeout(connect=connect, read=read),
        )

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """One request. Raises Unavailable when the service does not answer."""
        try:
            answer = self._pool.request(
                method, self.url + path, headers=dict(headers), body=body, redirect=False
            )
        except urllib3.exceptions.HTTPError as problem:
            raise _silent() from problem
        return Answer(answer.status, answer.headers, answer.data)

    def stream(self, path: str, headers: Mapping[str, str]) -> Stream:
        """A GET whose answer is read as it comes. Raises Unavailable, also while it is read."""
        try:
            answer = self._pool.request(
                "GET", self.url + path, headers=dict(headers), redirect=False, preload_content=False
            )
        except urllib3.exceptions.HTTPError as problem:
            raise _silent() from problem
        return Stream(answer.status, answer.headers, _pieces(answer))


def _pieces(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    try:
        yield from answer.stream(_PIECE)
        answer.release_conn()
    except urllib3.exceptions.HTTPError as problem:
        raise _silent() from problem
    finally:
        answer.close()


def _silent() -> Unavailable:
    return Unavailable(
        "A part of the system does not answer. Try again.",
        code="service_unavailable",
        retry_after=1,
    )


class InternalClient:
    """Another service's ``/internal/*``, asked with our own name and secret."""

    def __init__(self, wire: Transport, name: str, secret: str) -> None:
        self._wire = wire
        self._headers = urllib3.make_headers(basic_auth=f"{name}:{secret}")

    def get(self, path: str) -> Any:
        """The JSON of a GET. Raises Unavailable for anything but 200."""
        answer = self._wire.send("GET", path, {**self._headers, "Accept": "application/json"})
        if answer.status != 200:
            raise Unavailable(
                f"Asked for {path}, got {answer.status}.", code="service_unavailable", retry_after=1
            )
        return answer.json()
