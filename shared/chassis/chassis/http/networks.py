"""Where requests come from: the client's address behind trusted proxies, and its network."""

import ipaddress
from collections.abc import Mapping
from typing import Any

from chassis.runtime.settings import Misconfigured

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

# Marks a request from the same process in its WSGI environment, where no client can put it.
IN_PROCESS = "chassis.in_process"


def parse(text: str) -> Networks:
    """The setting TRUSTED_PROXIES, ``10.0.0.0/8, ::1``, separated by commas or spaces, as networks.
    Raises Misconfigured."""
    try:
        return tuple(ipaddress.ip_network(part) for part in text.replace(",", " ").split())
    except ValueError as problem:
        raise Misconfigured(f"TRUSTED_PROXIES: {problem}.") from problem


def client_address(trusted: Networks, environ: Mapping[str, Any]) -> str:
    """The client's address: the last one in X-Forwarded-For that is not a trusted proxy, if a
    trusted proxy or this process sent the request; else where it came from."""
    peer = str(environ.get("REMOTE_ADDR", ""))
    hops = [hop.strip() for hop in str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
    if environ.get(IN_PROCESS):
        return hops[-1] or peer
    address = peer
    while hops and hops[-1] and _is_within(trusted, address):
        address = hops.pop()
    return str(_parsed(address) or address[:64])


def network_of(address: str) -> str:
    """What a client is counted by: its IPv4 address, or the /64 of its IPv6 address, which usually
    belongs to one customer."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(parsed), 64), strict=False))
    return str(parsed) if parsed else address[:64]


def _is_within(networks: Networks, address: str) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address without the port that some proxies add. An IPv4 address that is written as an
    IPv6 address is an IPv4 address."""
    text = address.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
