"""Remote Support: access requests, approval, active sessions."""

import time
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chassis.runtime import clock
from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from console.clients import Missing, Refusal, fetch_all
from console.forms import Form, whole_number
from console.forms import support as fields
from console.views import page, support_sessions
from console.views.page import needs

blp = Blueprint("support", __name__, url_prefix="/c/<org>")
_FRESH = timedelta(seconds=20)
_KNOWN_FOR = 15.0  # seconds
_known: dict[str, tuple[float, bool]] = {}  # provider -> until when, whether Remote Support is on


@blp.get("/support")
@needs("support.read")
def show(org: str) -> ResponseReturnValue:
    """Access requests and grants, and active sessions."""
    api, base, cursor = page.api(), f"/v1/organizations/{org}", request.args.get("cursor")
    requests: dict[str, Any] = {
        "organization": lambda: api.get(base),
        "access": lambda: api.get(f"{base}/remote-support", cursor=cursor, limit=50),
    }
    if page.visitor().may("settings.read"):
        requests["settings"] = lambda: api.get("/v1/settings")
    responses = fetch_all(**requests)
    for name in ("organization", "access"):
        if isinstance(responses[name], Missing):
            raise responses[name].refusal
    withdraw = "Withdraw" if page.visitor().is_staff else "Decline"
    return page.show("support.html", withdraw=withdraw, **{"settings": None, **responses})


@blp.get("/support/inside")
@needs("support.read")
def active_sessions(org: str) -> ResponseReturnValue:
    """The active support sessions, for the part of a page that polls. Polling does not keep an
    unused session alive: shortly before its token expires, the part stops polling."""
    if not request.headers.get("HX-Request"):
        return redirect(url_for("support.show"), 303)
    if page.visitor().workspace.until - clock.now() < _FRESH:
        return Response(render_template("active_sessions_stale.html"), 286)
    try:
        sessions = page.api().get(f"/v1/organizations/{org}/remote-support", limit=1)["inside"]
    except Refusal as refusal:
        if refusal.status < 500:
            raise
        return "", 204
    if request.args.get("seen") == seen(sessions):
        return "", 204
    return page.show(
        "active_sessions_list.html",
        sessions=sessions,
        seen=seen(sessions),
        zone=_zone(request.args.get("zone", "")),
    )


@blp.route("/support/request", methods=["GET", "POST"])
@needs("support.request")
def ask(org: str) -> ResponseReturnValue:
    """Request access."""
    base = f"/v1/organizations/{org}"
    organization = page.api().get(base)
    form = page.form(fields.REQUEST, {"access": "read", "minutes": "1440"})
    grant = page.submit(
        form, lambda: page.api().post(f"{base}/remote-support", _request(form), key=form.key)
    )
    if grant is None:
        form.summary = fields.refusal_summary(form.refusal) or form.summary
        return page.show("support_request.html", organization=organization, form=form)
    if grant["status"] == "pending":
        return page.done(
            "We asked the customer's owner and admins by email. "
            "You can enter when one of them approves.",
            "support.show",
        )
    return page.done("Access granted. You can enter now.", "support.show")


@blp.route("/support/<grant>/enter", methods=["GET", "POST"])
@needs("support.enter")
def enter(org: str, grant: str) -> ResponseReturnValue:
    """Enter an account under a grant, as Support."""
    organization, grant_details = _with_grant(org, grant)
    form = page.form(fields.ENTER, {"reason": grant_details["reason"]})
    granted = page.submit(
        form,
        lambda: page.api().post(
            f"/v1/organizations/{org}/remote-support/{grant}/enter", form.body(), key=form.key
        ),
    )
    if granted is not None:
        return support_sessions.start_session(granted, "Support")
    return support_sessions.show_start(
        "support_session_start.html",
        form,
        organization=organization,
        grant=grant_details,
        obstacle=_obstacle(grant_details),
    )


@blp.route("/support/<grant>/approve", methods=["GET", "POST"])
@needs("support.consent")
def approve(org: str, grant: str) -> ResponseReturnValue:
    """Approve a request."""
    organization, grant_details = _with_grant(org, grant)
    form = page.form(())
    if (
        page.submit(
            form,
            lambda: page.api().post(
                f"/v1/organizations/{org}/remote-support/{grant}/approve", {}, key=form.key
            ),
        )
        is None
    ):
        return page.show(
            "support_approve.html", organization=organization, grant=grant_details, form=form
        )
    return page.done("Support access approved. You can end it at any time.", "support.show")


@blp.route("/support/<grant>/end", methods=["GET", "POST"])
@needs("support.end")
def end(org: str, grant: str) -> ResponseReturnValue:
    """End a grant, a request or an active session (then the id is the session's)."""
    organization, access = _with_grant(org, grant)
    form = page.form(())
    if (
        page.submit(
            form, lambda: page.api().delete(f"/v1/organizations/{org}/remote-support/{grant}")
        )
        is None
    ):
        question, button = _question(access)
        return page.show(
            "support_end.html",
            organization=organization,
            access=access,
            form=form,
            question=question,
            button=button,
        )
    return page.done(_ended(access), "support.show")


def _question(access: dict[str, Any]) -> tuple[str, str]:
    """The question of the page that ends this, and the button."""
    if "who" in access:
        return "End this session?", "End session"
    if access["status"] != "pending":
        return "End this access?", "End access"
    if page.visitor().is_staff:
        return "Withdraw the request?", "Withdraw request"
    return "Decline the request?", "Decline request"


def seen(sessions: list[dict[str, Any]]) -> str:
    """A value that changes when a session starts or ends."""
    return f"{len(sessions)}{sessions[0]['id'] if sessions else ''}"


def is_enabled() -> bool:
    """Whether the provider's settings allow Remote Support. Customers cannot know, but see existing
    grants. Cached for some seconds."""
    visitor = page.visitor()
    if not visitor.may("settings.read"):
        return True
    provider = visitor.workspace.organization["id"]
    until, on = _known.get(provider, (0.0, True))
    if until < time.monotonic():
        try:
            on = bool(page.api().get("/v1/settings")["managed_service"])
        except Refusal:
            return on
        _known[provider] = (time.monotonic() + _KNOWN_FOR, on)
    return on


def clear_cache() -> None:
    """Load the setting again the next time."""
    _known.clear()


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        return "UTC"


def _request(form: Form) -> dict[str, Any]:
    body = form.body()
    if "minutes" in body:
        body["minutes"] = whole_number(body["minutes"])
    return body


def _with_grant(org: str, wanted: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The organization, and the grant, request or session with this id. Raises Refusal (404)."""
    api, base = page.api(), f"/v1/organizations/{org}"
    responses = fetch_all(
        organization=lambda: api.get(base),
        support=lambda: api.get(f"{base}/remote-support", limit=200),
    )
    for response in responses.values():
        if isinstance(response, Missing):
            raise response.refusal
    both = [*responses["support"]["data"], *responses["support"]["inside"]]
    access = next((access for access in both if access["id"] == wanted), None)
    if access is None:
        raise Refusal(404, {"code": "not_found"})
    return responses["organization"], access


def _obstacle(grant: dict[str, Any]) -> str:
    if grant["status"] == "pending":
        return (
            "The customer has not approved this request yet. "
            "You can enter when the owner or an admin does."
        )
    return "" if grant["status"] == "active" else "This access has ended. Request it again."


def _ended(access: dict[str, Any]) -> str:
    if access.get("status") == "pending":
        return "The request was closed."
    return "Ended. Active sessions end within seconds."
