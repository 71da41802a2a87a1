"""What identifies a request: its id and the address of its client."""

import re
from collections.abc import Mapping
from typing import Any

from flask import g, request

from chassis.auth.actor import Client
from chassis.runtime import ids

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


def client() -> Client:
    """The client of this request, as audit rows name it."""
    caller = g.get("caller")
    return Client(
        address=client_address()[:64], organization_id=caller.organization_id if caller else None
    )


def raw_path(environ: Mapping[str, Any]) -> str:
    """The path as it was sent, still percent-encoded."""
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO", "")
    return str(raw).partition("?")[0]
