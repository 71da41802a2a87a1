"""The client network that failed attempts are counted for."""

import hashlib
import ipaddress


def digest(address: str) -> bytes:
    """The SHA-256 of the client's network: the IPv4 address, or the /64 of an IPv6 address, which
    usually belongs to one customer."""
    return hashlib.sha256(_network(address).encode()).digest()


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.strip())
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)
