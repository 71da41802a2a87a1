"""The Idempotency-Key header of a request: whether it is required, and what it identifies."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, g, request

from chassis.auth.callers import Caller
from chassis.errors import Unreadable
from chassis.http.parsing import Blueprint, UnreadableBody

F = TypeVar("F", bound=Callable[..., Any])
PATTERN = "^[!-~]{1,255}$"


class KeyRequired(Unreadable):
    code = "idempotency_key_required"
    detail = (
        "Send an Idempotency-Key header of 1 to 255 visible characters, new for each operation."
    )


class BadKey(Unreadable):
    code = "idempotency_key_invalid"
    detail = "An Idempotency-Key has 1 to 255 visible ASCII characters."


def key_required(view: F) -> F:
    """The route does something that must not happen twice: ``change`` requires a key there, and
    the OpenAPI document says so."""
    header = {
        "in": "header",
        "name": "Idempotency-Key",
        "required": True,
        "schema": {"type": "string", "pattern": PATTERN},
    }
    documented: Any = Blueprint.doc(parameters=[header])(view)
    documented.key_required = True
    return documented


def is_required() -> bool:
    """Whether the route of this request is marked by ``key_required``."""
    view = current_app.view_functions[request.endpoint or ""]
    return bool(getattr(view, "key_required", False))


def key_of_request(*, required: bool = False) -> str | None:
    """The key that the client sent. Raises KeyRequired, BadKey."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        if required:
            raise KeyRequired()
        return None
    if not re.fullmatch(PATTERN, key):
        raise BadKey()
    return key


def scope_of_request() -> str:
    """The digest of who uses the key and where: keys of others never collide with it."""
    caller: Caller = g.caller
    principal = caller.sid if caller.act else caller.sub
    parts = (caller.organization_id, principal, request.method, request.path)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def fingerprint_of_request() -> str:
    """The digest of the body; the order of JSON members does not matter. Raises
    UnreadableBody."""
    return hashlib.sha256(_canonical_body()).hexdigest()


def _canonical_body() -> bytes:
    raw = request.get_data(cache=True)
    try:
        return json.dumps(json.loads(raw), sort_keys=True).encode() if raw else b""
    except ValueError:
        return raw
    except RecursionError as problem:  # it was read with a smaller stack
        raise UnreadableBody() from problem
