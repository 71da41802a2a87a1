"""The audit of a customer."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from console.views import page
from console.views.page import needs

blp = Blueprint("audit", __name__, url_prefix="/c/<org>")


@blp.get("/audit")
@needs("audit.read")
def show(org: str) -> ResponseReturnValue:
    """Who did what."""
    organization = page.api().get(f"/v1/organizations/{org}")
    found = page.api().get(f"/v1/organizations/{org}/audit", cursor=request.args.get("cursor"), limit=50)
    return page.show("audit.html", organization=organization, found=found)
