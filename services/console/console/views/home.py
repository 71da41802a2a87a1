"""Home: what needs somebody."""

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from console.views import page

blp = Blueprint("home", __name__)


@blp.get("/home")
def show() -> ResponseReturnValue:
    """Staff see the whole book; a customer's people their own organization."""
    if not page.visitor().is_staff:
        return redirect(url_for("overview.show", org=page.visitor().here.organization["id"]), 303)
    return redirect(url_for("customers.show"), 303)
