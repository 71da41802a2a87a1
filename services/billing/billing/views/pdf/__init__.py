"""An invoice as a PDF."""

import re

from chassis.auth.access import requires
from chassis.http import context
from chassis.http.parsing import Blueprint
from flask import Response

from billing import queries
from billing.views.pdf import layout

blp = Blueprint(
    "invoice_pdf",
    __name__,
    url_prefix="/v1/organizations/<organization_id>/invoices",
    description="What a customer was asked to pay, to be printed",
)


@blp.route("/<invoice_id>.pdf", methods=["GET"])
@requires("invoices.read")
@blp.response(200, {"type": "string", "format": "binary"}, content_type="application/pdf")
def print_invoice(organization_id: str, invoice_id: str) -> Response:
    """One invoice as PDF/A, A4; the same bytes until something changes on it."""
    with context.database().reading() as session:
        document = queries.invoice_document(session, organization_id, invoice_id)
    answer = Response(layout.render(document), content_type="application/pdf")
    name = re.sub(r"[^A-Za-z0-9._-]", "_", document["number"])
    answer.headers["Content-Disposition"] = f'inline; filename="{name}.pdf"'
    return answer
