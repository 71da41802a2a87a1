"""The pages. Everything below ``/at/<seat>`` is somebody's; the rest is open."""

from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, request
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as AnyResponse

from console import guard
from console.views import (
    acting,
    assets,
    audit,
    customers,
    deletion,
    entry,
    help,  # noqa: A004 - the page of that name
    home,
    invoices,
    links,
    me,
    members,
    opening,
    overview,
    ownership,
    page,
    payment,
    problems,
    provider,
    settings,
    support,
    transactions,
    words,
)

INSIDE: tuple[Blueprint, ...] = (
    home.blp,
    customers.blp,
    opening.blp,
    provider.blp,
    me.blp,
    acting.blp,
    overview.blp,
    payment.blp,
    transactions.blp,
    invoices.blp,
    members.blp,
    ownership.blp,
    support.blp,
    audit.blp,
    settings.blp,
    deletion.blp,
)
OPEN: tuple[Blueprint, ...] = (entry.blp, help.blp, links.blp, assets.blp)
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "manifest-src 'self'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def plug(app: Flask) -> None:
    """Add every page, and what is done before and after each."""
    for blueprint in INSIDE:
        app.register_blueprint(blueprint, url_prefix=f"/at/<seat>{blueprint.url_prefix or ''}")
    for blueprint in OPEN:
        app.register_blueprint(blueprint)
    app.url_value_preprocessor(_take_place)
    app.url_defaults(_keep_place)
    app.before_request(_who_is_there)
    app.after_request(_finish)
    words.plug(app)
    problems.plug(app)


def _take_place(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """The seat is every page's and no view's own business."""
    g.seat = (values or {}).pop("seat", "")
    g.org = (values or {}).get("org", "")


def _keep_place(endpoint: str, values: dict[str, Any]) -> None:
    """Links stay at the seat, and at the customer, of the page they are on."""
    expects = current_app.url_map.is_endpoint_expecting
    for name in ("seat", "org"):
        if expects(endpoint, name) and name not in values and g.get(name):
            values[name] = g.get(name)


def _who_is_there() -> AnyResponse | None:
    view = current_app.view_functions.get(request.endpoint or "")
    if getattr(view, "is_asset", False) or getattr(view, "operation", "") in ("public", "internal"):
        return None
    guard.check_origin()
    secret = guard.cookie()
    g.visitor = guard.identify(secret, g.get("seat", ""))
    if view is None or getattr(view, "open_to_all", False):
        return None
    if g.visitor is None or (g.seat and g.visitor.seat is None):
        is_acting = g.seat.startswith("ses_")
        if g.visitor and not is_acting and guard.own_seats(g.visitor):
            raise NotFound  # somebody else's place: signing in once more would not help
        raise guard.SignedOut(acting=is_acting)
    guard.check_token(secret)
    return None


def _finish(answer: Response) -> Response:
    if request.headers.get("X-Dialog") and answer.status_code in (
        302,
        303,
    ):  # the script goes there itself
        answer.status_code, answer.headers["X-Location"] = 204, answer.headers.pop("Location")
        answer.set_data(b"")
    for name, value in _HEADERS.items():
        answer.headers.setdefault(name, value)
    if guard.is_secure():
        answer.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return page.compress(answer)
