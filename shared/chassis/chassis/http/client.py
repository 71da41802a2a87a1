"""Requests to other services: over the network (``transport.py``), or in this process in embedded
mode."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from chassis.errors import Unavailable


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


class InternalClient:
    """Calls another service's ``/internal/*`` with our own name and secret."""

    def __init__(self, transport: Transport, name: str, secret: str) -> None:
        self._transport = transport
        # Concatenated: a Secret that is formatted shows as ***.
        credentials = base64.b64encode((name + ":" + secret).encode()).decode()
        self._headers = {"authorization": "Basic " + credentials}

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
