"""Requests to other services: over the network, or in this process in embedded mode."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import urllib3

from chassis.errors import Unavailable

_CHUNK = 64 * 1024


@dataclass(frozen=True)
class ServiceResponse:
    """A whole response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Stream:
    """A response read in chunks. The reader reads them to the end or closes the iterator."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class Transport(Protocol):
    """How to reach one service."""

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> ServiceResponse:
        """Send one request. Raises Unavailable if the service does not respond."""
        ...


class StreamingTransport(Transport, Protocol):
    """A transport that can also read long responses in chunks."""

    def stream(self, path: str, headers: Mapping[str, str]) -> Stream:
        """Send a GET and read its response in chunks. Raises Unavailable, also while reading."""
        ...


class HttpTransport:
    """Over the network: pooled, with timeouts in seconds, never retried here."""

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
    ) -> ServiceResponse:
        """Send one request. Raises Unavailable if the service does not respond."""
        response = self._request(method, path, headers, body=body)
        return ServiceResponse(response.status, response.headers, response.data)

    def stream(self, path: str, headers: Mapping[str, str]) -> Stream:
        """Send a GET and read its response in chunks. Raises Unavailable, also while reading."""
        response = self._request("GET", path, headers, preload_content=False)
        return Stream(response.status, response.headers, _chunks(response))

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], **options: Any
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self._pool.request(
                method, self.url + path, headers=dict(headers), redirect=False, **options
            )
        except urllib3.exceptions.HTTPError as problem:
            raise _unavailable() from problem


def _chunks(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    try:
        yield from response.stream(_CHUNK)
        response.release_conn()
    except urllib3.exceptions.HTTPError as problem:
        raise _unavailable() from problem
    finally:
        response.close()


def _unavailable() -> Unavailable:
    return Unavailable(
        "A part of the system is not responding. Try again in a moment.",
        code="service_unavailable",
        retry_after=1,
    )


class InternalClient:
    """Calls another service's ``/internal/*`` with our own name and secret."""

    def __init__(self, transport: Transport, name: str, secret: str) -> None:
        self._transport = transport
        self._headers = urllib3.make_headers(basic_auth=name + ":" + secret)

    def get(self, path: str) -> Any:
        """The JSON of a GET. Raises Unavailable for any status but 200."""
        response = self._transport.send(
            "GET", path, {**self._headers, "Accept": "application/json"}
        )
        if response.status != 200:
            raise Unavailable(
                f"GET {path} returned {response.status}.", code="service_unavailable", retry_after=1
            )
        return response.json()
