"""Requests to other services over the network."""

from collections.abc import Iterator, Mapping
from typing import Any

import urllib3

from chassis.errors import Unavailable
from chassis.http.client import ServiceResponse, Stream

_CHUNK = 64 * 1024


class HttpTransport:
    """Over the network: pooled, with timeouts in seconds, never retried here. ``authorities``: the
    file with those whose certificates are believed, for https; by default, those that this machine
    trusts."""

    def __init__(
        self,
        url: str,
        *,
        authorities: str = "",
        connections: int = 16,
        connect: float = 2.0,
        read: float = 30.0,
    ) -> None:
        self.url = url.rstrip("/")
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=False,
            retries=False,
            ca_certs=authorities or None,
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
            raise unavailable(problem) from problem


def unavailable(problem: Exception) -> Unavailable:
    """What the client of a service gets when the service does not respond."""
    detail = "Part of the system is temporarily unavailable. Try again in a moment."
    return Unavailable(detail, code="service_unavailable", retry_after=1)


def _chunks(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The body of a response as it arrives. Raises Unavailable if it breaks off."""
    try:
        yield from response.stream(_CHUNK)
        response.release_conn()
    except urllib3.exceptions.HTTPError as problem:
        raise unavailable(problem) from problem
    finally:
        response.close()
