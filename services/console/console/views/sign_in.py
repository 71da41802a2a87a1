"""Sign in and sign out."""

from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from console.clients import Refusal
from console.guard import api_access, cookies, drafts, sessions
from console.guard.visitors import Visitor
from console.values import endings
from console.values.sealing import new_secret, opens, seal
from console.views import page
from console.views.page import open_to_all

# The cookie with the key of the encrypted email and password while a one-time code is entered, and
# how many minutes it lasts.
_STARTED = "begun"
_MINUTES = 5
blp = Blueprint("sign_in", __name__)


@blp.get("/")
@open_to_all
def index() -> ResponseReturnValue:
    """The last used workspace's home, or the sign-in page."""
    if g.visitor is None:
        return redirect(url_for("sign_in.show"), 303)
    workspaces = sessions.own_workspaces(g.visitor)
    return redirect(
        url_for("home.show", workspace=workspaces[0].key)
        if workspaces
        else url_for("sign_in.show"),
        303,
    )


@blp.get("/sign-in")
@open_to_all
def show() -> ResponseReturnValue:
    """The sign-in form."""
    return page.show(
        "sign_in.html",
        next=page.local_path(request.args.get("next")),
        kept=[],
        email="",
        ended=endings.text(request.args.get("why")),
    )


@blp.post("/sign-in")
@open_to_all
def submit() -> ResponseReturnValue:
    """Sign in and continue to the requested page, with the values that were entered there."""
    onward, typed = page.local_path(request.form.get("next")), _typed()
    kept = [
        (name.removeprefix("kept_"), value)
        for name, value in request.form.items(multi=True)
        if name.startswith("kept_")
    ]
    browser_id = cookies.read(cookies.BROWSER) or new_secret()
    try:
        granted = api_access.api(browser_id=browser_id).post("/v1/sessions", typed)
    except Refusal as refusal:
        return _ask_again(refusal, typed, next=onward, kept=kept)
    if (before := g.visitor) is not None:
        _end_sessions(before)
    secret, key = sessions.sign_in(granted)
    g.visitor = sessions.identify(secret, key)
    if kept:
        draft = drafts.save(g.visitor, dict(kept))
        onward = f"{onward}{'&' if '?' in onward else '?'}draft={draft}"
    if onward == "/":
        onward = url_for("home.show", workspace=key)
    response = cookies.write(_redirect(onward), secret)
    cookies.write(response, browser_id, part=cookies.BROWSER, seconds=cookies.BROWSER_SECONDS)
    cookies.write(response, "", part=cookies.SIGNED_OUT)
    return cookies.write(response, "", part=_STARTED)


@blp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End all sessions of this browser and continue to the page that the form names."""
    visitor = page.visitor()
    _end_sessions(visitor)
    sessions.sign_out(visitor)
    onward = page.local_path(request.form.get("next"))
    response = _redirect(url_for("sign_in.signed_out") if onward == "/" else onward)
    cookies.write(response, "1", part=cookies.SIGNED_OUT, seconds=cookies.SIGNED_OUT_SECONDS)
    return cookies.write(response, "")


@blp.get("/signed-out")
@open_to_all
def signed_out() -> ResponseReturnValue:
    """The page after signing out."""
    return render_template("signed_out.html")


def _typed() -> dict[str, str]:
    """Email, password and one-time code. Email and password of the previous step come back
    encrypted."""
    begun = opens(cookies.read(_STARTED), request.form.get("begun", "")) or {}
    typed = {name: begun.get(name) or request.form.get(name, "") for name in ("email", "password")}
    otp = request.form.get("otp", "").strip()
    return typed | {"email": typed["email"].strip()} | ({"otp": otp} if otp else {})


def _ask_again(refusal: Refusal, typed: dict[str, str], **words: Any) -> Response:
    """The sign-in form with an error. If only the one-time code is missing, the password is kept
    encrypted, so that nobody has to enter it twice and it is not in the page."""
    asks = refusal.code in ("otp_required", "invalid_otp")
    wrong = "" if refusal.code == "otp_required" else _words(refusal)
    cookie = (cookies.read(_STARTED) or new_secret()) if asks else ""
    begun = seal(cookie, {"email": typed["email"], "password": typed["password"]}) if asks else ""
    shown = page.show(
        "sign_in.html",
        status=_status(refusal),
        email=typed["email"],
        begun=begun,
        wrong=wrong,
        **words,
    )
    return cookies.write(shown, cookie, part=_STARTED, seconds=_MINUTES * 60)


def _status(refusal: Refusal) -> int:
    """The status of the form that shows a refusal of the API."""
    if refusal.status in (422, 429):
        return refusal.status
    return 401 if refusal.status < 500 else 503


def _end_sessions(visitor: Visitor) -> None:
    """A failure is ignored: nobody has the tokens once the browser session is deleted."""
    for workspace in sessions.own_workspaces(visitor):
        with suppress(Refusal):
            api_access.api(visitor, workspace).delete("/v1/sessions/current")


def _redirect(to: str) -> Response:
    return make_response(redirect(to, 303))


def _words(refusal: Refusal) -> str:
    if refusal.code == "invalid_credentials":
        return "The email address or password is incorrect."
    if refusal.code == "invalid_otp":
        return (
            "The one-time code is incorrect or was already used. "
            "Wait for the next code, or use a recovery code."
        )
    if refusal.status == 422:
        return "Enter your email address and password."
    return refusal.detail
