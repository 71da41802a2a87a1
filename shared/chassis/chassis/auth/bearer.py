"""The access token of a request, not yet verified."""

import re

from chassis.errors import Unauthenticated

_BEARER = re.compile(r"Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)", re.IGNORECASE)


class InvalidToken(Unauthenticated):
    code = "invalid_token"
    detail = "The access token is missing, expired or not valid. Sign in again."


def bearer(header: str) -> str:
    """The token in an Authorization header. Raises InvalidToken."""
    match = _BEARER.fullmatch(header)
    if not match:
        raise InvalidToken()
    return match[1]
