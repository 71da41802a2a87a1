"""An invoice as a PDF."""

import re

from chassis.auth.access import current_caller, requires
from chassis.http import context
from chassis.http.parsing import Blueprint
from chassis.http.slots import Slots
from flask import Response, current_app

from billing import queries
from billing.views.pdf import renderer

blp = Blueprint(
    "invoice_pdf",
    __name__,
    url_prefix="/v1/organizations/<organization_id>/invoices",
    description="Invoices as PDF",
)


@blp.route("/<invoice_id>.pdf", methods=["GET"])
@requires("invoices.read")
@blp.response(200, {"type": "string", "format": "binary"}, content_type="application/pdf")
def print_invoice(organization_id: str, invoice_id: str) -> Response:
    """Retrieve an invoice as PDF/A; the same bytes until the invoice changes. A tenant
    has two at once."""
    slots: Slots = current_app.extensions["renderings"]
    with slots.take(renderer.shares(current_caller())):
        with context.database().reading() as session:
            document = queries.invoice_document(session, organization_id, invoice_id)
        response = Response(renderer.render(document), content_type="application/pdf")
    name = re.sub(r"[^A-Za-z0-9._-]", "_", document["number"])
    response.headers["Content-Disposition"] = f'inline; filename="{name}.pdf"'
    return response
