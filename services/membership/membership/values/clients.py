"""What failed attempts are counted for besides the email address: a network and a browser."""

import hashlib
import re
from typing import NamedTuple, Self

from chassis.http import networks

_BROWSER_ID = re.compile(r"[A-Za-z0-9_-]{32,128}")


class Device(NamedTuple):
    """What a session is used with, as shown to its person: the client's address and browser or
    program. Both are personal data."""

    address: str
    user_agent: str


class Client(NamedTuple):
    """Where an attempt comes from, as SHA-256. ``network``: the IPv4 address, or the /64 of an IPv6
    address; ``browser``: the random id that a browser keeps in a cookie, empty if it has none."""

    network: bytes
    browser: bytes

    @classmethod
    def of(cls, address: str, browser_id: str) -> Self:
        """The client with this address. An id that could be guessed is ignored."""
        network = hashlib.sha256(networks.network_of(address).encode()).digest()
        if not _BROWSER_ID.fullmatch(browser_id):
            return cls(network, b"")
        return cls(network, hashlib.sha256(f"browser {browser_id}".encode()).digest())
