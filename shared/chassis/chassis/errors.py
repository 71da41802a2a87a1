"""The kinds of failure, independent of HTTP. A service subclasses a kind next to the code that
raises it; chassis.http.problems maps kinds to status codes."""

from typing import Any


class Failure(Exception):
    """A failure that is reported to the client.

    Each subclass states its public ``code`` and a default ``detail`` for people; neither follows
    from the class name or the docstring. ``extra`` becomes further members of the response.
    """

    code: str
    detail: str

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        missing = [name for name in ("code", "detail") if not cls.__dict__.get(name)]
        if missing:
            raise TypeError(f"{cls.__qualname__} must define {' and '.join(missing)}")

    def __init__(self, detail: str = "", *, code: str = "", **extra: Any) -> None:
        super().__init__(detail or self.detail)
        if detail:
            self.detail = detail
        if code:
            self.code = code
        self.extra = extra


class Unreadable(Failure):
    code = "unreadable"
    detail = "The request cannot be read."


class Unauthenticated(Failure):
    code = "unauthenticated"
    detail = "Authentication is required."


class Forbidden(Failure):
    code = "forbidden"
    detail = "You are not allowed to do this."


class NotFound(Failure):
    code = "not_found"
    detail = "There is no such resource."


class Conflict(Failure):
    """The state of the resource does not allow the request."""

    code = "conflict"
    detail = "The current state of the resource does not allow this."


class Gone(Failure):
    """It was possible once and never will be again."""

    code = "gone"
    detail = "This is no longer available."


class PreconditionFailed(Failure):
    """If-Match names another version."""

    code = "precondition_failed"
    detail = "The resource has changed since you read it."


class TooLarge(Failure):
    code = "too_large"
    detail = "The request is too large."


class UnsupportedMedia(Failure):
    code = "unsupported_media"
    detail = "The content type of the request body is not supported."


class Invalid(Failure):
    """The request is readable but not valid. ``errors``: [{pointer, code, detail}]."""

    code = "invalid"
    detail = "The request has invalid fields."

    def __init__(
        self, detail: str = "", *, errors: list[dict[str, str]] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail, **(extra | ({"errors": errors} if errors else {})))


class TooMany(Failure):
    """``retry_after`` is in seconds."""

    code = "too_many"
    detail = "Too many requests. Try again later."


class Unavailable(Failure):
    """Something that the request depends on does not respond. ``retry_after`` is in seconds."""

    code = "unavailable"
    detail = "The service is temporarily unavailable. Try again in a moment."


def invalid(pointer: str, code: str, detail: str) -> Invalid:
    """An Invalid about one field."""
    return Invalid(detail, errors=[{"pointer": pointer, "code": code, "detail": detail}])
