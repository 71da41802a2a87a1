"""Kinds of failure, without status numbers. Services subclass a kind beside the code that raises
it."""

import re
from typing import Any


class Failure(Exception):
    """A failure that the caller should hear about. ``extra`` is said beside the detail."""

    code = ""

    def __init__(self, detail: str = "", *, code: str = "", **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail or (type(self).__doc__ or "").strip().partition("\n")[0]
        self.code = (
            code or type(self).code or re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()
        )
        self.extra = extra


class Unreadable(Failure):
    """The request can't be read."""


class Unauthenticated(Failure):
    """We do not know who you are."""


class Forbidden(Failure):
    """You may not do this."""


class NotFound(Failure):
    """There is no such thing."""


class Conflict(Failure):
    """The state of the thing stands in the way."""


class Gone(Failure):
    """It is too late for this."""


class PreconditionFailed(Failure):
    """The thing has changed since you read it."""


class TooLarge(Failure):
    """The request is too large."""


class UnsupportedMedia(Failure):
    """The content type of the body is not one we read."""


class Invalid(Failure):
    """Something in the request is not as it must be. ``errors``: [{pointer, code, detail}]."""

    def __init__(
        self, detail: str = "", *, errors: list[dict[str, str]] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail, **(extra | ({"errors": errors} if errors else {})))


class TooMany(Failure):
    """Too many requests. ``retry_after`` is in seconds."""


class Unavailable(Failure):
    """Something we need does not answer just now. ``retry_after`` is in seconds."""


def invalid(pointer: str, code: str, detail: str) -> Invalid:
    """An Invalid about one field."""
    return Invalid(detail, errors=[{"pointer": pointer, "code": code, "detail": detail}])
