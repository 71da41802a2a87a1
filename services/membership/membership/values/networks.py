"""The client network that failed attempts are counted for."""

import hashlib

from chassis.http import networks


def digest(address: str) -> bytes:
    """The SHA-256 of the client's network: see ``chassis.http.networks``."""
    return hashlib.sha256(networks.network_of(address).encode()).digest()
