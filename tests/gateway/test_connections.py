"""Connections to a service: when they are used again, and what a service may send on them."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from chassis.errors import Unavailable
from gateway.clients import HttpUpstream


@dataclass
class Service:
    """Sends ``answer`` to every request, and ends the connection after it if ``ends``.
    ``requests``: the requests of each connection."""

    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    ends: bool = False
    requests: list[list[bytes]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    self._answer(connection)
                self.ended.set()

    def _answer(self, connection: socket.socket) -> None:
        self.requests.append([])
        while request := connection.recv(65536):
            self.requests[-1].append(request)
            answer, ends = self.answer, self.ends
            connection.sendall(answer)
            if ends:
                return


@dataclass
class Link:
    service: Service
    upstream: HttpUpstream
    host: str

    def get(self, method: str = "GET") -> tuple[int, bytes]:
        response = self.upstream.forward(method, "/v1/things", {"Accept": "text/csv"})
        return response.status, response.read()


@pytest.fixture
def link() -> Iterator[Link]:
    service = Service()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=service.serve, args=(listener,), daemon=True).start()
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        yield Link(service, HttpUpstream(f"http://{host}", read=5.0), host)
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("answer", "method", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "HEAD", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "GET", b""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
            b"1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n",
            "GET",
            b"ok",
        ),
        (
            b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\nok",
            "GET",
            b"ok",
        ),
    ],
)
def test_a_connection_is_used_again_after_a_whole_response(
    link: Link, answer: bytes, method: str, body: bytes
) -> None:
    link.service.answer = answer

    assert [link.get(method)[1] for _ in range(3)] == [body] * 3
    [requests] = link.service.requests
    assert (
        requests
        == [
            f"{method} /v1/things HTTP/1.1\r\nHost: {link.host}\r\n"
            "Accept-Encoding: identity\r\nAccept: text/csv\r\n\r\n".encode()
        ]
        * 3
    )


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Close",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nContent-Length: two",
    ],
)
def test_a_connection_that_ends_is_not_used_again(link: Link, head: bytes) -> None:
    link.service.answer, link.service.ends = head + b"\r\n\r\nok", True

    assert [link.get() for _ in range(2)] == [(200, b"ok")] * 2
    assert len(link.service.requests) == 2


def test_a_connection_that_the_service_has_ended_is_replaced(link: Link) -> None:
    link.service.ends = True
    link.get()
    assert link.service.ended.wait(5)

    assert link.get() == (200, b"ok")


def test_a_connection_whose_response_was_not_read_is_not_used_again(link: Link) -> None:
    response = link.upstream.forward("GET", "/v1/things", {})
    response.close()
    response.close()

    assert link.get() == (200, b"ok")
    assert link.get() == (200, b"ok")
    assert [len(requests) for requests in link.service.requests] == [1, 2]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nok\r\n0\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"ok\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n",
    ],
)
def test_a_response_that_is_not_whole_is_lost(link: Link, answer: bytes) -> None:
    link.service.answer, link.service.ends = answer, True

    with pytest.raises(Unavailable) as refusal:
        link.get()
    assert "lost or too late" in refusal.value.detail
    link.service.answer, link.service.ends = Service.answer, False
    assert link.get() == (200, b"ok")


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\r\nx: y"])
def test_a_header_with_a_line_break_is_not_sent(link: Link, value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        link.upstream.forward("GET", "/v1/things", {"Accept": value})

    assert link.get() == (200, b"ok")
    assert [len(requests) for requests in link.service.requests] == [0, 1]
