"""Help: the shortcuts, and what somebody prefers in this browser."""

from flask import Blueprint, make_response, redirect, request
from flask.typing import ResponseReturnValue

from console.guard import cookies
from console.views import page
from console.views.page import open_to_all

_YEAR = 365 * 24 * 3600
# preference -> what it may be; nothing is what everybody has
PREFERENCES = {"look": ("light", "dark"), "keys": ("off",)}
blp = Blueprint("help", __name__)


@blp.get("/help")
@open_to_all
def show() -> ResponseReturnValue:
    """How to get about."""
    return page.show("help.html", keys=request.cookies.get("keys", ""))


@blp.post("/preferences")
@open_to_all
def prefer() -> ResponseReturnValue:
    """Light or dark, with shortcuts or without: kept in this browser, where the script reads it
    too."""
    response = make_response(redirect(page.safe(request.form.get("next")), 303))
    for name, known in PREFERENCES.items():
        if name not in request.form:
            continue
        if (value := request.form[name]) in known:
            response.set_cookie(
                name, value, max_age=_YEAR, path="/", samesite="Lax", secure=cookies.is_secure()
            )
        else:
            response.delete_cookie(name, path="/", samesite="Lax", secure=cookies.is_secure())
    return response
