"""Connections that do not wait for slow clients without end.

A request may wait for its client only so long, be it for data or until data is taken: a few seconds
that are used up by waiting and come back with each byte at a minimum rate, and a total that does
not come back. Time that the service itself takes does not count."""

import errno
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Pace:
    """``patience``: seconds of waiting at first and at most; ``rate``: bytes per second that
    a client must take or send once they are used up; ``total``: seconds of waiting for a request
    in all."""

    patience: float = 10.0
    rate: int = 4096
    total: float = 900.0


class Budget:
    """What is left of a request's seconds of waiting."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._patience, self._total = pace.patience, pace.total

    def seconds(self, expected: int) -> float:
        """How long the next so many bytes may take."""
        return min(self._patience + expected / self._pace.rate, self._total)

    def spend(self, seconds: float, transferred: int) -> None:
        """Count a transfer that took so long."""
        gained = transferred / self._pace.rate
        self._patience = min(self._patience - seconds + gained, self._pace.patience)
        self._total -= seconds


class Paced(socket.socket):
    """A blocking socket that resets its connection when the request has used up its budget."""

    pace = Pace()
    _budget = Budget(pace)

    def begin(self) -> None:
        """Start a new request with a full budget."""
        self._budget = Budget(self.pace)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As of any socket. Raises ConnectionResetError when the client is too slow."""
        return self._transfer(0, partial(super().recv, size, flags), len)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """As of any socket. Raises ConnectionResetError when the client is too slow."""
        whole = memoryview(data)
        for start in range(0, len(whole), _CHUNK):
            self._send(whole[start : start + _CHUNK], flags)

    def _send(self, part: memoryview, flags: int) -> None:
        size = len(part)
        self._transfer(size, partial(super().sendall, part, flags), lambda _: size)

    def _transfer(self, expected: int, run: Callable[[], T], size: Callable[[T], int]) -> T:
        if self.gettimeout() is not None:  # the server polls, or has a time limit of its own
            return run()
        seconds = self._budget.seconds(expected)
        if seconds <= 0:
            raise _too_slow()
        began = time.monotonic()
        self.settimeout(seconds)
        try:
            done = run()
        except TimeoutError:
            raise _too_slow() from None
        finally:
            self.settimeout(None)
        self._budget.spend(time.monotonic() - began, size(done))
        return done


class PacedSocket(Paced):
    """A connection without TLS."""

    @classmethod
    def of(cls, connection: socket.socket, pace: Pace) -> "PacedSocket":
        """This connection. The other object can no longer be used."""
        timeout = connection.gettimeout()
        paced = cls(fileno=connection.detach())
        paced.settimeout(timeout)
        paced.pace = pace
        paced.begin()
        return paced


class PacedTlsSocket(Paced, ssl.SSLSocket):  # type: ignore[misc]  # recv has other names
    """A connection with TLS, as an SSLContext makes it. The handshake is part of the first
    request."""

    def do_handshake(self, block: bool = False) -> None:
        """As of any TLS socket. Raises ConnectionResetError when the client is too slow."""
        self.begin()
        self._transfer(0, partial(super().do_handshake, block), lambda _: 0)


def _too_slow() -> ConnectionResetError:
    # gunicorn logs other errors with a traceback.
    return ConnectionResetError(errno.ECONNRESET, "The client is too slow.")
