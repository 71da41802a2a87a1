"""Remote Support: grants, who is inside, consent."""

import time
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chassis.runtime import clock
from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from console.clients import Missing, Refusal, together
from console.forms import support as fields
from console.forms import whole
from console.views import acting, page
from console.views.page import needs

blp = Blueprint("support", __name__, url_prefix="/c/<org>")
_FRESH = timedelta(seconds=20)
_KNOWN_FOR = 15.0  # seconds
_known: dict[str, tuple[float, bool]] = {}  # provider -> until when, whether Remote Support is on


@blp.get("/support")
@needs("support.read")
def show(org: str) -> ResponseReturnValue:
    """Whether support can come in, under which grants, and who is inside now."""
    api, at, cursor = page.api(), f"/v1/organizations/{org}", request.args.get("cursor")
    asked: dict[str, Any] = {
        "organization": lambda: api.get(at),
        "found": lambda: api.get(f"{at}/remote-support", cursor=cursor, limit=50),
    }
    if page.optional_caller().may("settings.read"):
        asked["settings"] = lambda: api.get("/v1/settings")
    answers = together(**asked)
    for name in ("organization", "found"):
        if isinstance(answers[name], Missing):
            raise answers[name].refusal
    return page.show("support.html", **{"settings": None, **answers})


@blp.get("/support/inside")
@needs("support.read")
def inside(org: str) -> ResponseReturnValue:
    """Who of the provider is inside now, for the part of a page that asks again and again. It does
    not keep a session alive that nobody uses: once its token is due to be renewed, the page asks no
    more."""
    if not request.headers.get("HX-Request"):
        return redirect(url_for("support.show"), 303)
    if page.optional_caller().here.until - clock.now() < _FRESH:
        return Response(render_template("inside_stale.html"), 286)
    try:
        found = page.api().get(f"/v1/organizations/{org}/remote-support", limit=1)["inside"]
    except Refusal as refusal:
        if refusal.status < 500:
            raise
        return "", 204
    if request.args.get("seen") == seen(found):
        return "", 204
    return page.show(
        "inside_list.html", inside=found, seen=seen(found), zone=_zone(request.args.get("zone", ""))
    )


@blp.route("/support/request", methods=["GET", "POST"])
@needs("support.request")
def ask(org: str) -> ResponseReturnValue:
    """Ask for leave to come in."""
    at = f"/v1/organizations/{org}"
    organization = page.api().get(at)
    made = page.form(fields.REQUEST, {"access": "read", "minutes": "1440"})
    grant = page.sent(
        made, lambda: page.api().post(f"{at}/remote-support", _asked(made), key=made.key)
    )
    if grant is None:
        made.summary = fields.plain(made.refusal) or made.summary
        return page.show("support_request.html", organization=organization, form=made)
    if grant["status"] == "pending":
        return page.done(
            "We asked the customer's owner and admins by email. You can enter when one of them approves.",
            "support.show",
        )
    return page.done("Access granted. You can enter now.", "support.show")


@blp.route("/support/<grant>/enter", methods=["GET", "POST"])
@needs("support.enter")
def enter(org: str, grant: str) -> ResponseReturnValue:
    """Go in under a grant, as nobody in particular."""
    organization, one = _with_grant(org, grant)
    made = page.form(fields.ENTER, {"reason": one["reason"]})
    told = page.sent(
        made,
        lambda: page.api().post(
            f"/v1/organizations/{org}/remote-support/{grant}/enter", made.body(), key=made.key
        ),
    )
    if told is not None:
        return acting.go_in(told, "Support")
    return acting.show_start(
        "acting_start.html", made, organization=organization, grant=one, hurdle=_hurdle(one)
    )


@blp.route("/support/<grant>/approve", methods=["GET", "POST"])
@needs("support.consent")
def approve(org: str, grant: str) -> ResponseReturnValue:
    """Let support in."""
    organization, one = _with_grant(org, grant)
    made = page.form(())
    if (
        page.sent(
            made,
            lambda: page.api().post(
                f"/v1/organizations/{org}/remote-support/{grant}/approve", {}, key=made.key
            ),
        )
        is None
    ):
        return page.show("support_approve.html", organization=organization, grant=one, form=made)
    return page.done("Support access approved. You can end it at any time.", "support.show")


@blp.route("/support/<grant>/end", methods=["GET", "POST"])
@needs("support.end")
def end(org: str, grant: str) -> ResponseReturnValue:
    """End a grant or a request, or put one out who is inside (then it is the session's id)."""
    organization, one = _with_grant(org, grant)
    made = page.form(())
    if (
        page.sent(
            made, lambda: page.api().delete(f"/v1/organizations/{org}/remote-support/{grant}")
        )
        is None
    ):
        return page.show("support_end.html", organization=organization, one=one, form=made)
    return page.done(_ended(one), "support.show")


def seen(found: list[dict[str, Any]]) -> str:
    """What changes when somebody comes in or goes."""
    return f"{len(found)}{found[0]['id'] if found else ''}"


def is_offered() -> bool:
    """Whether Remote Support is there for whoever sits here: their provider has switched it on.
    Customers can't know, but see what was granted. Asked of the API a few times a minute at the
    most."""
    visitor = page.optional_caller()
    if not visitor.may("settings.read"):
        return True
    provider = visitor.here.organization["id"]
    until, on = _known.get(provider, (0.0, True))
    if until < time.monotonic():
        try:
            on = bool(page.api().get("/v1/settings")["managed_service"])
        except Refusal:
            return on
        _known[provider] = (time.monotonic() + _KNOWN_FOR, on)
    return on


def forget_offer() -> None:
    """The settings have changed: ask again."""
    _known.clear()


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        return "UTC"


def _asked(made: Any) -> dict[str, Any]:
    body: dict[str, Any] = made.body()
    return {**body, **({"minutes": whole(body["minutes"])} if "minutes" in body else {})}


def _with_grant(org: str, wanted: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The organization and the grant, request or stay of this id. Raises Refusal (404)."""
    api, at = page.api(), f"/v1/organizations/{org}"
    answers = together(
        organization=lambda: api.get(at), found=lambda: api.get(f"{at}/remote-support", limit=200)
    )
    for answer in answers.values():
        if isinstance(answer, Missing):
            raise answer.refusal
    both = [*answers["found"]["data"], *answers["found"]["inside"]]
    one = next((one for one in both if one["id"] == wanted), None)
    if one is None:
        raise Refusal(404, {"code": "not_found"})
    return answers["organization"], one


def _hurdle(grant: dict[str, Any]) -> str:
    if grant["status"] == "pending":
        return "The customer has not approved this request yet. You can enter when the owner or an admin does."
    return "" if grant["status"] == "active" else "This access has ended. Request it again."


def _ended(one: dict[str, Any]) -> str:
    if one.get("status") == "pending":
        return "The request was closed."
    return "Ended. Active sessions end within seconds."
