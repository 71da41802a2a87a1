"""Connections to one service that are kept for the next requests. HTTP/1.1 as our services use it,
without the work that a general client does for each request."""

import re
import ssl
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from http.client import (
    BadStatusLine,
    HTTPConnection,
    HTTPException,
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
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?\r?\n")
_NAME = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER_LINE = re.compile(rf"({_NAME}):([\t -~\x80-\xff]*)\r?\n")
_END_OF_HEADERS = ("\r\n", "\n")
_CHUNK_SIZE_LINE = re.compile(r"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t -~\x80-\xff]*)?\r\n")
_LENGTH = re.compile("[0-9]{1,18}")
_REQUEST_LINE = re.compile(rf"{_NAME} [!-~]+ HTTP/1\.1")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_WITH_BODY = ("POST", "PUT", "PATCH")
_SWITCHING_PROTOCOLS = 101
_EMPTY_STATUSES = (204, 304)


class Response:
    """The response to a request that was sent on ``connection``. ``status`` and ``headers`` are
    there after ``begin``; ``is_last``: no other request can follow on the connection; ``keep``
    receives the connection if one can."""

    status: int
    headers: list[tuple[str, str]]

    def __init__(self, connection: socket, method: str, keep: Callable[[socket], None]) -> None:
        self._connection: socket | None = connection
        self._reader = connection.makefile("rb")
        self._is_head, self._keep = method == "HEAD", keep
        self._is_http_10 = self._is_chunked = self._is_complete = False
        self._length: int | None = None
        self.is_last = False

    def begin(self) -> None:
        """Read status and headers. Raises HTTPException or OSError."""
        self._read_head()
        while self.status < 200:
            if self.status == _SWITCHING_PROTOCOLS:
                raise HTTPException("another protocol, which was not requested")
            self._read_head()
        self._find_end_of_body()

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives. Raises HTTPException or OSError if it breaks off."""
        if self._is_chunked:
            while size := self._chunk_size():
                yield from self._read(size)
                if self._line() != "\r\n":
                    raise HTTPException("a chunk longer than its size")
            self._read_headers()  # the trailer
        else:
            yield from self._read(self._length)
        self._is_complete = True

    def end(self) -> None:
        """Keep the connection if the body has been read to its end and another request can follow;
        else close it. Ending it again does nothing."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        can_follow = self._is_complete and not self.is_last and not self._has_more(connection)
        self._reader.close()
        if can_follow:
            self._keep(connection)
        else:
            connection.close()

    def _find_end_of_body(self) -> None:
        """As section 6.3 of RFC 9112 says. Raises HTTPException where the end is unclear."""
        codings, lengths = self._values("transfer-encoding"), self._values("content-length")
        if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
            raise HTTPException("an invalid Content-Length")
        if codings not in ([], ["chunked"]):
            raise HTTPException("an unknown Transfer-Encoding")
        is_closing = any("close" in value for value in self._values("connection"))
        self.is_last = self.is_last or self._is_http_10 or is_closing or len(codings + lengths) > 1
        if codings:
            self.headers = [pair for pair in self.headers if pair[0].lower() != "content-length"]
        if self._is_head or self.status in _EMPTY_STATUSES:
            self._length = 0
        elif codings:
            self._is_chunked = True
        elif lengths:
            self._length = int(lengths[0])
        else:
            self.is_last = True

    def _values(self, name: str) -> list[str]:
        return [value.lower() for other, value in self.headers if other.lower() == name]

    def _read_head(self) -> None:
        line = self._line()
        match = _STATUS_LINE.fullmatch(line)
        if not match:
            raise BadStatusLine(line)
        self._is_http_10, self.status = match[1] == "0", int(match[2])
        self.headers = self._read_headers()

    def _read_headers(self) -> list[tuple[str, str]]:
        headers: list[tuple[str, str]] = []
        while (line := self._line()) not in _END_OF_HEADERS:
            match = _HEADER_LINE.fullmatch(line)
            if not match or len(headers) == _MAX_HEADERS:
                raise HTTPException("an invalid header" if not match else "too many headers")
            headers.append((match[1], match[2].strip(" \t")))
        return headers

    def _chunk_size(self) -> int:
        match = _CHUNK_SIZE_LINE.fullmatch(self._line())
        if not match:
            raise HTTPException("an invalid size of a chunk")
        return int(match[1], 16)

    def _line(self) -> str:
        line = self._reader.readline(_MAX_LINE + 1)
        if not line.endswith(b"\n"):
            raise LineTooLong("line") if len(line) > _MAX_LINE else IncompleteRead(line)
        return line.decode("latin-1")

    def _read(self, length: int | None) -> Iterator[bytes]:
        """So many bytes, or all until the service ends the connection."""
        left = length
        while left != 0:
            chunk = self._reader.read1(_CHUNK if left is None else min(left, _CHUNK))
            if not chunk:
                if left is None:
                    return
                raise IncompleteRead(b"", left)
            if left is not None:
                left -= len(chunk)
            yield chunk

    def _has_more(self, connection: socket) -> bool:
        """Whether something has arrived after the response, or the connection is broken."""
        timeout = connection.gettimeout()
        connection.settimeout(0)
        try:
            return bool(self._reader.peek(1))
        except OSError as problem:
            return not isinstance(problem, ssl.SSLWantReadError)
        finally:
            connection.settimeout(timeout)


class Connections:
    """At most ``kept`` idle connections to the service at ``url``; time-outs in seconds.
    ``authorities``: the file with those whose certificates are believed, for https; by default,
    those that this machine trusts."""

    def __init__(
        self, url: str, *, authorities: str, kept: int, connect: float, read: float
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._authority = parts.hostname or "", parts.port, parts.netloc
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
            idle.close()  # the service has ended it, or sent what nobody requested
        client = (
            HTTPSConnection(self._host, self._port, timeout=self._connect_s, context=self._tls)
            if self._tls
            else HTTPConnection(self._host, self._port, timeout=self._connect_s)
        )
        client.connect()
        connection: socket = client.sock
        connection.settimeout(self._read_s)
        return connection

    def send(
        self, connection: socket, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Send a request once; returns when the headers of its response are read. Raises OSError,
        HTTPException, or ValueError for an illegal header; then the connection is closed."""
        response = Response(connection, method, self._keep)
        try:
            request = self._head(method, target, headers, len(body)) + body
            try:
                connection.sendall(request)
            except ConnectionError:
                # A service may refuse a request before it has read all of it, and say why.
                response.is_last = True
            response.begin()
        except BaseException:
            response.end()
            raise
        return response

    def _head(self, method: str, target: str, headers: Mapping[str, str], length: int) -> bytes:
        request_line = f"{method} {target} HTTP/1.1"
        lines = [f"Host: {self._authority}", "Accept-Encoding: identity"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if length or method in _WITH_BODY:
            lines.append(f"Content-Length: {length}")
        if not _REQUEST_LINE.fullmatch(request_line):
            raise ValueError("an illegal method or target")
        if _CONTROL.search("".join(lines)):
            raise ValueError("a line break or another control character in a header")
        return "\r\n".join([request_line, *lines, "", ""]).encode("latin-1")

    def _keep(self, connection: socket) -> None:
        if len(self._idle) < self._kept:
            self._idle.append(connection)
        else:
            connection.close()
