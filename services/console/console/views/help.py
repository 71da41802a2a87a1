"""Help: the shortcuts, and preferences of this browser."""

from flask import Blueprint, make_response, redirect, request
from flask.typing import ResponseReturnValue

from console.guard import cookies
from console.views import page
from console.views.page import open_to_all

_YEAR = 365 * 24 * 3600
# preference -> values other than the default, which has no cookie
PREFERENCES = {"look": ("light", "dark"), "keys": ("off",)}
blp = Blueprint("help", __name__)


@blp.get("/help")
@open_to_all
def show() -> ResponseReturnValue:
    """The shortcuts."""
    return page.show("help.html", keys=request.cookies.get("keys", ""))


@blp.post("/preferences")
@open_to_all
def prefer() -> ResponseReturnValue:
    """Store a preference in a cookie, which the script reads too."""
    response = make_response(redirect(page.local_path(request.form.get("next")), 303))
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
