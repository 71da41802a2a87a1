"""The list of customers."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from console.views import page
from console.views.page import needs

blp = Blueprint("customers", __name__)


@blp.get("/customers")
@needs("organization.list")
def show() -> ResponseReturnValue:
    """Every customer, with money and state."""
    found = page.api().get("/v1/organizations", q=request.args.get("q"), cursor=request.args.get("cursor"), limit=50)
    return page.show("customers.html", found=found)
