"""The console's cookies."""

from flask import Response, current_app, request

# The cookie with the random id by which the API knows a browser that a person has signed in with,
# and how many seconds it lasts after that: 30 days, as there.
BROWSER = "browser"
BROWSER_SECONDS = 30 * 24 * 3600
# The cookie that tells the other tabs, for an hour, that the person has signed out in one.
SIGNED_OUT = "signed-out"
SIGNED_OUT_SECONDS = 3600


def is_secure() -> bool:
    """Whether people use https."""
    return bool(current_app.extensions["settings"].is_secure)


def name(part: str = "") -> str:
    """The name of a cookie. The prefix ``__Host-`` needs https, so a local console does without."""
    prefix = "__Host-clientele" if is_secure() else "clientele"
    return f"{prefix}-{part}" if part else prefix


def read(part: str = "") -> str:
    """The value of the browser's cookie, or of an additional one; empty if it is not set."""
    return request.cookies.get(name(part), "")


def write(
    response: Response, value: str, *, part: str = "", seconds: int | None = None
) -> Response:
    """Set a cookie, or delete it if the value is empty. ``part``: an additional cookie;
    ``seconds``: how long it lasts, until the browser is closed if omitted."""
    cookie, secure = name(part), is_secure()
    if value:
        response.set_cookie(
            cookie, value, max_age=seconds, secure=secure, httponly=True, samesite="Lax", path="/"
        )
    elif cookie in request.cookies:
        response.delete_cookie(cookie, secure=secure, httponly=True, samesite="Lax", path="/")
    return response
