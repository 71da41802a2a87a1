"""Connections to one service that are kept for the next requests. Made of the standard library's
parts, without the work that a general client does for each request."""

import re
import ssl
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from http.client import (
    BadStatusLine,
    HTTPConnection,
    HTTPException,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
    LineTooLong,
)
from socket import socket
from urllib.parse import urlsplit

from urllib3.util.wait import wait_for_read

FAILURES = (OSError, HTTPException)
_CHUNK = 64 * 1024
_MAX_LINE = 64 * 1024
_MAX_HEADERS = 100
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
_LINE_BREAKS = re.compile("[\r\n]")
_WITH_BODY = ("POST", "PUT", "PATCH")
_EMPTY_STATUSES = (204, 304)


class Response(HTTPResponse):
    """A response whose headers are in ``pairs``. They are read without the library for email, which
    takes longer than all the rest."""

    pairs: list[tuple[str, str]]

    def __init__(self, used: socket, method: str, keep: Callable[[socket], None]) -> None:
        super().__init__(used, method=method)
        self._used: socket | None = used
        self._has_no_body, self._keep = method == "HEAD", keep

    def begin(self) -> None:
        """Read status and headers. Raises HTTPException or OSError."""
        self.status = 100
        while self.status == 100:
            self._read_head()
        known = {name.lower(): value for name, value in reversed(self.pairs)}
        self.chunked = known.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        length = known.get("content-length", "")
        self.length = int(length) if length.isdecimal() and not self.chunked else None
        if self.status in _EMPTY_STATUSES or self._has_no_body:
            self.length = 0
        ends = self.version == 10 or "close" in known.get("connection", "").lower()
        self.will_close = ends or (self.length is None and not self.chunked)

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives. Raises HTTPException or OSError if it breaks off."""
        read = self.read1 if self.chunked else self.read
        while piece := read(_CHUNK):
            yield piece
        if self.length:
            raise IncompleteRead(b"", self.length)

    def end(self) -> None:
        """Keep the connection if the body has been read to its end; else close it. Ending it again
        does nothing."""
        used, self._used = self._used, None
        if used is None:
            return
        if self.isclosed() and not self.will_close:
            self._keep(used)
            return
        self.close()
        used.close()

    def _read_head(self) -> None:
        match = _STATUS_LINE.fullmatch(self._line())
        if not match:
            raise BadStatusLine("")
        self.version, self.status = 10 + int(match[1]), int(match[2])
        self.pairs = []
        while (line := self._line()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            self.pairs.append((name.strip(), value.strip()))
            if len(self.pairs) > _MAX_HEADERS:
                raise HTTPException("too many headers")

    def _line(self) -> bytes:
        line = self.fp.readline(_MAX_LINE + 1)
        if not line.endswith(b"\n"):
            raise LineTooLong("header") if len(line) > _MAX_LINE else IncompleteRead(line)
        return line


class Connections:
    """At most ``kept`` idle connections to the service at ``url``; time-outs in seconds.
    ``authorities``: the file with those whose certificates are believed, for https; by default,
    those that this machine trusts."""

    def __init__(
        self, url: str, *, authorities: str, kept: int, connect: float, read: float
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._named = parts.hostname or "", parts.port, parts.netloc
        is_https = parts.scheme == "https"
        self._tls = ssl.create_default_context(cafile=authorities or None) if is_https else None
        self._connect_s, self._read_s = connect, read
        self._kept, self._idle = kept, deque[socket]()

    def connection(self) -> socket:
        """A connection on which a request can be sent. Raises OSError, TimeoutError among them."""
        while self._idle:
            try:
                idle = self._idle.pop()
            except IndexError:  # another thread has taken the last one
                break
            if not wait_for_read(idle, 0.0):
                return idle
            idle.close()  # the service has ended it
        made = (
            HTTPSConnection(self._host, self._port, timeout=self._connect_s, context=self._tls)
            if self._tls
            else HTTPConnection(self._host, self._port, timeout=self._connect_s)
        )
        made.connect()
        connected: socket = made.sock
        connected.settimeout(self._read_s)
        return connected

    def send(
        self, used: socket, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Send a request; returns once the headers of its response are read. Raises OSError,
        HTTPException, or ValueError for an illegal header; then the connection is closed."""
        response = Response(used, method, self._keep)
        try:
            used.sendall(self._head(method, target, headers, len(body)) + body)
            response.begin()
        except BaseException:
            response.end()
            raise
        return response

    def _head(self, method: str, target: str, headers: Mapping[str, str], length: int) -> bytes:
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._named}", "Accept-Encoding: identity"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if length or method in _WITH_BODY:
            lines.append(f"Content-Length: {length}")
        if any(_LINE_BREAKS.search(line) for line in lines):
            raise ValueError("a line break in a header")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _keep(self, used: socket) -> None:
        if len(self._idle) < self._kept:
            self._idle.append(used)
        else:
            used.close()
