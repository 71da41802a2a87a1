"""Connections to a service: when they are used again, and what a service may send on them."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from chassis.errors import Unavailable
from gateway.clients import HttpUpstream

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: Chunked\r\n\r\n"
WHOLE = HEAD + b"Content-Length: 2\r\n\r\nok"


@dataclass
class Service:
    """Sends ``answer`` to every request, and ends the connection after it if ``ends``.
    ``requests``: the requests of each connection."""

    answer: bytes = WHOLE
    ends: bool = False
    requests: list[list[bytes]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, suppress(ConnectionError):
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
        (WHOLE, "GET", b"ok"),
        (HEAD + b"Content-Length: 2\r\n\r\n", "HEAD", b""),
        (CHUNKED, "HEAD", b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", b""),
        (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "GET", b""),
        (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", b""),
        (CHUNKED + b"1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", "GET", b"ok"),
        (CHUNKED + b"02 \r\nok\r\n0\r\nx: y\r\n\r\n", "GET", b"ok"),
        (CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n", "GET", b"0123456789"),
        (b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n" + WHOLE, "GET", b"ok"),
        (
            b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 x\r\nLink: </y>\r\n\r\n" + WHOLE,
            "GET",
            b"ok",
        ),
        (b"HTTP/1.1 200\ncontent-length:2\n\nok", "GET", b"ok"),
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
    "answer",
    [
        HEAD + b"Content-Length: 2\r\nConnection: Close\r\n\r\nok",
        HEAD + b"Content-Length: 2\r\nConnection: x\r\nConnection: y, close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        HEAD + b"Content-Length: 2\r\n\r\nok!",
        HEAD + b"Content-Length: 2\r\n\r\nok" + WHOLE,
        CHUNKED + b"2\r\nok\r\n0\r\n\r\n" + WHOLE,
        HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
)
def test_a_connection_after_whose_response_no_other_can_follow_is_closed(
    link: Link, answer: bytes
) -> None:
    link.service.answer = answer

    assert [link.get() for _ in range(2)] == [(200, b"ok")] * 2
    assert len(link.service.requests) == 2


def test_bytes_after_a_response_without_a_body_are_not_taken_for_the_next(link: Link) -> None:
    link.service.answer = b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"

    assert [link.get() for _ in range(2)] == [(204, b"")] * 2
    assert len(link.service.requests) == 2


def test_a_body_without_a_length_ends_with_the_connection(link: Link) -> None:
    link.service.answer, link.service.ends = HEAD + b"\r\nok", True

    assert [link.get() for _ in range(2)] == [(200, b"ok")] * 2
    assert len(link.service.requests) == 2


def test_a_length_that_chunks_replace_is_not_passed_on(link: Link) -> None:
    link.service.answer = (
        HEAD + b"Content-length: 1\r\nTransfer-Encoding: chunked\r\nx: \t y\xe9 z\t \r\n\r\n"
    )

    response = link.upstream.forward("GET", "/v1/things", {})
    response.close()
    assert response.headers == [("Transfer-Encoding", "chunked"), ("x", "y\xe9 z")]


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
        HEAD + b"Content-Le",
        HEAD + b"Content-Length: 3\r\n\r\nok",
        CHUNKED + b"2\r\nok\r\n",
        CHUNKED + b"9\r\nok",
        CHUNKED + b"2\r\nok\r\n0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_a_response_that_is_not_whole_is_lost(link: Link, answer: bytes) -> None:
    link.service.answer, link.service.ends = answer, True
    check_lost(link)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + WHOLE,
        b"ok\r\n\r\n",
        HEAD + b"x: " + b"y" * 70_000 + b"\r\n\r\n",
        HEAD + b"x: y\r\n" * 200 + b"\r\n",
    ]
    + [
        HEAD + header + b"\r\nContent-Length: 2\r\n\r\nok"
        for header in (
            b"x",
            b"x: y\r\n z: a",
            b"x: y\r\n\t",
            b"x : y",
            b": y",
            b" x: y",
            b"x: y\rSet-Cookie: z",
            b"x: y\0z",
            b"x: y\x7fz",
            b" ",
            b"Content-Length: 2",
            b"Content-Length: 3",
            b"Transfer-Encoding: gzip",
            b"Transfer-Encoding: identity",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        )
    ]
    + [
        HEAD + b"Content-Length: " + length + b"\r\n\r\nok"
        for length in (b"", b"two", b"-2", b"+2", b"2, 2", b"2.0", b"\xb2", b"2" * 5000)
    ]
    + [
        CHUNKED + chunks
        for chunks in (
            b"x\r\nok\r\n0\r\n\r\n",
            b"\r\nok\r\n0\r\n\r\n",
            b"-2\r\nok\r\n0\r\n\r\n",
            b"+2\r\nok\r\n0\r\n\r\n",
            b"0x2\r\nok\r\n0\r\n\r\n",
            b"0_2\r\nok\r\n0\r\n\r\n",
            b"2\nok\r\n0\r\n\r\n",
            b"2\r\nok!!0\r\n\r\n",
            b"1\r\nok\r\n0\r\n\r\n",
            b"2\r\nok\r\n0\r\nx\r\n\r\n",
            b"2\r\nok\r\n0\r\n" + b"x: y\r\n" * 200 + b"\r\n",
        )
    ],
)
def test_a_malformed_response_is_lost_and_its_connection_closed(link: Link, answer: bytes) -> None:
    link.service.answer = answer
    check_lost(link)


def check_lost(link: Link) -> None:
    """The response is lost, the request is not repeated, and the next has another connection."""
    with pytest.raises(Unavailable) as refusal:
        link.get()
    assert "lost or too late" in refusal.value.detail
    link.service.answer, link.service.ends = WHOLE, False
    assert link.get() == (200, b"ok")
    assert [len(requests) for requests in link.service.requests] == [1, 1]


LARGE = b"x" * 2**24  # more than the buffers of both sockets take


def test_a_service_may_refuse_a_request_before_it_has_read_all_of_it(link: Link) -> None:
    link.service.answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
    link.service.ends = True

    response = link.upstream.forward("POST", "/v1/usage", {}, LARGE)
    assert (response.status, response.read()) == (413, b"no")
    link.service.answer, link.service.ends = WHOLE, False
    assert link.get() == (200, b"ok")
    assert [len(requests) for requests in link.service.requests] == [1, 1]


def test_a_request_that_the_service_does_not_read_is_not_sent_again(link: Link) -> None:
    link.service.answer, link.service.ends = b"", True

    with pytest.raises(Unavailable) as refusal:
        link.upstream.forward("POST", "/v1/usage", {}, LARGE)
    assert "lost or too late" in refusal.value.detail
    link.service.answer, link.service.ends = WHOLE, False
    assert link.get() == (200, b"ok")
    assert [len(requests) for requests in link.service.requests] == [1, 1]


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\r\nx: y", "a\0b", "\u20ac"])
def test_an_illegal_header_is_not_sent(link: Link, value: str) -> None:
    check_refused(link, "GET", "/v1/things", {"Accept": value})
    check_refused(link, "GET", "/v1/things", {value: "a"})


@pytest.mark.parametrize("illegal", ["a\nb", "a\r\nx: y", "a b", "a\tb", "a\0b", "\xe9", ""])
def test_an_illegal_method_or_target_is_not_sent(link: Link, illegal: str) -> None:
    check_refused(link, illegal, "/v1/things", {})
    check_refused(link, "GET", illegal, {})


def check_refused(link: Link, method: str, target: str, headers: dict[str, str]) -> None:
    link.service.requests.clear()
    with pytest.raises(ValueError):
        link.upstream.forward(method, target, headers)

    assert link.get() == (200, b"ok")
    assert link.get() == (200, b"ok")
    assert [len(requests) for requests in link.service.requests if requests] == [2]
