"""Routes that only other services may call, each with its own secret."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import request

from chassis.auth.access import access_control
from chassis.errors import Unauthenticated

F = TypeVar("F", bound=Callable[..., Any])


class InternalOnly(Unauthenticated):
    code = "internal_only"
    detail = "Only other services may call this."


def internal(*services: str) -> Callable[[F], F]:
    """Only these services may call the route, each with its own secret (HTTP Basic). The gateway
    does not forward it."""

    def decorate(view: F) -> F:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            name, secret = _basic(request.headers.get("Authorization", ""))
            expected = access_control().internal_callers.get(name, "")
            given = hashlib.sha256(secret.encode()).hexdigest()
            if name not in services or not hmac.compare_digest(expected, given):
                raise InternalOnly()
            return view(*args, **kwargs)

        guarded.operation = "internal"  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return decorate


def parse_callers(text: str) -> dict[str, str]:
    """``org=<sha256 hex>,gateway=<sha256 hex>`` as a mapping."""
    pairs = (pair.partition("=") for pair in text.split(",") if pair.strip())
    return {name.strip(): digest.strip() for name, _, digest in pairs}


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, secret
