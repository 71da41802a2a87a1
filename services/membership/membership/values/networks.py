"""Where somebody calls from, as far as guesses are counted."""

import hashlib
import ipaddress


def digest(address: str) -> bytes:
    """The SHA-256 of the client's network: an IPv4 address as it is, of an IPv6 address the /64
    that is one customer's, whatever its spelling."""
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
