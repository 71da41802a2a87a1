"""A customer at a glance."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from console.clients import together
from console.views import page
from console.views.page import needs

blp = Blueprint("overview", __name__, url_prefix="/c/<org>")


@blp.get("/overview")
@needs("organization.read")
def show(org: str) -> ResponseReturnValue:
    """Who they are, how they stand, what happened lately."""
    api, at = page.api(), f"/v1/organizations/{org}"
    organization = api.get(at)
    cards = together(
        account=lambda: api.get(f"{at}/account"),
        transactions=lambda: api.get(f"{at}/account/transactions", limit=10),
        timeline=lambda: api.get(f"{at}/timeline", limit=5),
    )
    return page.show("overview.html", organization=organization, **cards)
