"""Ports for the servers and processes that are started here."""

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path
from typing import IO

LOOPBACK = "127.0.0.1"
_reserved: set[int] = set()


def free_port() -> int:
    """A free port below those that the kernel gives to clients, which could take it while a
    server is down. No other process of this user is given it until this one ends."""
    while True:
        port = random.randrange(15000, 30000)  # noqa: S311
        if port in _reserved or not _reserve(port):
            continue
        _reserved.add(port)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port


def _reserve(port: int) -> bool:
    """Lock the byte of this number in a file that all processes of this user share."""
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _reservations() -> IO[bytes]:
    return (Path(tempfile.gettempdir()) / f"clientele-ports-{os.geteuid()}").open("ab")
