"""The way in and out: sign in, sign out, the beginning."""

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from console import guard
from console.clients import Refusal
from console.views import page
from console.views.page import open_to_all

blp = Blueprint("entry", __name__)


@blp.get("/")
@open_to_all
def begin() -> ResponseReturnValue:
    """The home of where one was last, or the way in."""
    if g.visitor is None:
        return redirect(url_for("entry.sign_in"), 303)
    seats = guard.own_seats(g.visitor)
    return redirect(url_for("home.show", seat=seats[0].key) if seats else url_for("entry.sign_in"), 303)


@blp.get("/sign-in")
@open_to_all
def sign_in() -> ResponseReturnValue:
    """Ask who it is."""
    return page.show("sign_in.html", next=page.safe(request.args.get("next")), kept=[], email="")


@blp.post("/sign-in")
@open_to_all
def signing_in() -> ResponseReturnValue:
    """Let them in, where they wanted to go; what they had typed there goes with them."""
    email, password = request.form.get("email", "").strip(), request.form.get("password", "")
    otp, onward = request.form.get("otp", "").strip(), page.safe(request.form.get("next"))
    kept = [(name.removeprefix("kept_"), value) for name, value in request.form.items(multi=True)
            if name.startswith("kept_")]
    body = {"email": email, "password": password} | ({"otp": otp} if otp else {})
    try:
        told = guard.api().post("/v1/sessions", body)
    except Refusal as refusal:
        asks = refusal.code in ("otp_required", "invalid_otp")
        wrong = "" if refusal.code == "otp_required" else _words(refusal)
        status = 422 if refusal.status == 422 else 429 if refusal.status == 429 else 401
        return page.show("sign_in.html", status=status if refusal.status < 500 else 503, next=onward, kept=kept,
                         email=email, password=password if asks else "", otp=asks, wrong=wrong)
    secret, key = guard.sign_in(told)
    g.visitor = guard.identify(secret, key)
    if kept:
        onward = f"{onward}?draft={guard.keep_draft(g.visitor, dict(kept))}"
    if onward == "/":
        onward = url_for("home.show", seat=key)
    return guard.set_cookie(_redirect(onward), secret)


@blp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End every session of this browser."""
    visitor = page.visitor()
    for seat in guard.own_seats(visitor):
        try:
            guard.api(visitor, seat).delete("/v1/sessions/current")
        except Refusal as refusal:
            if refusal.status >= 500:
                raise
    guard.forget(visitor)
    return guard.set_cookie(_redirect(url_for("entry.signed_out")), "")


@blp.get("/signed-out")
@open_to_all
def signed_out() -> ResponseReturnValue:
    """Say so."""
    return render_template("signed_out.html")


def _redirect(to: str) -> Response:
    return make_response(redirect(to, 303))


def _words(refusal: Refusal) -> str:
    if refusal.code == "invalid_credentials":
        return "The e-mail address or the password is wrong."
    if refusal.code == "invalid_otp":
        return "The one-time code is wrong or was used before. Wait for the next one, or use a recovery code."
    if refusal.status == 422:
        return "Give your e-mail address and your password."
    return refusal.detail
