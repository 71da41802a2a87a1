"""The pages. Those below ``/at/<workspace>`` belong to a workspace session; the others are open."""

from typing import Any

from flask import Blueprint, Flask, Response, current_app, g, request
from werkzeug.wrappers import Response as AnyResponse

from console.guard import capacity, cookies, forgery, sessions, visitors
from console.values import amounts
from console.views import (
    assets,
    audit,
    customers,
    deletion,
    help,  # noqa: A004 - the page of that name
    home,
    invoices,
    links,
    me,
    members,
    new_customer,
    overview,
    ownership,
    page,
    payment,
    problems,
    profile,
    provider,
    settings,
    sign_in,
    support,
    support_sessions,
    template_context,
    transactions,
)

WORKSPACE_PAGES: tuple[Blueprint, ...] = (
    home.blp,
    customers.blp,
    new_customer.blp,
    provider.blp,
    me.blp,
    profile.blp,
    support_sessions.blp,
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
OPEN_PAGES: tuple[Blueprint, ...] = (sign_in.blp, help.blp, links.blp, assets.blp)
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


def register(app: Flask) -> None:
    """Register all pages, and what is done before and after each."""
    for blueprint in WORKSPACE_PAGES:
        app.register_blueprint(blueprint, url_prefix=f"/at/<workspace>{blueprint.url_prefix or ''}")
    for blueprint in OPEN_PAGES:
        app.register_blueprint(blueprint)
    app.url_value_preprocessor(_take_workspace)
    app.url_defaults(_keep_workspace)
    app.before_request(_use_locale)
    app.before_request(_identify_visitor)
    app.after_request(_finish_response)
    template_context.register(app)
    problems.register(app)


def _take_workspace(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Take the workspace out of the arguments: every page has it, and no view needs it."""
    g.workspace = (values or {}).pop("workspace", "")
    g.org = (values or {}).get("org", "")


def _keep_workspace(endpoint: str, values: dict[str, Any]) -> None:
    """Links stay in the workspace, and at the customer, of the page they are on."""
    expects = current_app.url_map.is_endpoint_expecting
    for name in ("workspace", "org"):
        if expects(endpoint, name) and name not in values and g.get(name):
            values[name] = g.get(name)


def _use_locale() -> None:
    """Write numbers as the browser asks for."""
    amounts.use_locale(request.accept_languages.best_match(amounts.LOCALES, amounts.LOCALES[0]))


def _identify_visitor() -> AnyResponse | None:
    view = current_app.view_functions.get(request.endpoint or "")
    if getattr(view, "is_asset", False) or getattr(view, "operation", "") in ("public", "internal"):
        return None
    forgery.check_origin()
    secret = cookies.read()
    g.visitor = sessions.identify(secret, g.get("workspace", ""))
    g.slot = capacity.take_slot(g.visitor)
    if view is None or getattr(view, "open_to_all", False):
        return None
    if g.visitor is None or (g.workspace and g.visitor.workspace_or_none is None):
        is_acting = g.workspace.startswith("ses_")
        if g.visitor and not is_acting and sessions.own_workspaces(g.visitor):
            # It belongs to somebody else, so signing in again would not help.
            raise visitors.OtherAccount
        raise visitors.SignedOut(acting=is_acting, reason=sessions.ending(g.visitor))
    forgery.check_token(secret)
    return None


def _finish_response(response: Response) -> Response:
    if "slot" in g:
        response.call_on_close(g.slot.release)
    if request.headers.get("X-Dialog") and response.status_code in (302, 303):
        # The script goes there itself.
        response.status_code, response.headers["X-Location"] = 204, response.headers.pop("Location")
        response.set_data(b"")
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if cookies.is_secure():
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return page.compress(response)
