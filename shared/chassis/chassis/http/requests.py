"""What identifies a request: its id and the address of its client."""

import re

from flask import g, request

from chassis.runtime import ids

_SANE_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def sane_id(given: str) -> str:
    """The request id a caller gave, or a new one where it is not sane."""
    return given if _SANE_ID.fullmatch(given) else ids.new("evt")


def request_id() -> str:
    """The id of this request: the caller's, if sane."""
    return str(getattr(g, "request_id", ""))


def client_address() -> str:
    """Where the client is. The gateway says it; nobody else reaches a service."""
    return request.headers.get("X-Forwarded-For") or request.remote_addr or ""
