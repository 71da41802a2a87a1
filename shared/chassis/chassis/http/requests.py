"""What identifies a request: its id and the address of its client."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from flask import g, request

from chassis.runtime import ids

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def accepted_id(given: str) -> str:
    """The request id that a client sent, or a new one if it is unusable."""
    return given if _ACCEPTED_ID.fullmatch(given) else ids.new("evt")


def request_id() -> str:
    """The id of this request; empty outside one."""
    return str(getattr(g, "request_id", ""))


def client_address() -> str:
    """The address of the client, as the gateway states it; nothing else reaches a service."""
    return request.headers.get("X-Forwarded-For") or request.remote_addr or ""


def raw_path(environ: Mapping[str, Any]) -> str:
    """The path as it was sent, still percent-encoded."""
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO", "")
    return str(raw).partition("?")[0]


def parse_networks(text: str) -> Networks:
    """``10.0.0.0/8, ::1/128`` as networks. Raises ValueError."""
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def address_behind(proxies: Networks, environ: Mapping[str, Any]) -> str:
    """The client's address: the last one in X-Forwarded-For if a known proxy sent the request, else
    where it came from."""
    peer = str(environ.get("REMOTE_ADDR", ""))
    forwarded = str(environ.get("HTTP_X_FORWARDED_FOR", "")).rpartition(",")[2].strip()
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    is_proxy = any(address in network for network in proxies)
    return forwarded if forwarded and is_proxy else peer
