"""Invoices of an account."""

from typing import Any

from chassis.auth.access import current_caller, requires
from chassis.http import context, idempotency, paging
from chassis.http.parsing import Blueprint
from chassis.http.responses import json_response
from chassis.runtime import clock
from flask import Response

from billing import actions, queries, schemas

blp = Blueprint(
    "invoices",
    __name__,
    url_prefix="/v1/organizations/<organization_id>/invoices",
    description="Invoices",
)


def _by_now() -> dict[str, Any]:
    return {"now": clock.now(), "by": current_caller().actor()}


@blp.route("", methods=["GET"])
@requires("invoices.read")
@blp.arguments(schemas.InvoicesQuery, location="query")
@blp.response(200, schemas.InvoicePage)
def list_invoices(query: dict[str, Any], organization_id: str) -> Response:
    """List the account's invoices, newest first, without their lines."""
    now = clock.now()
    limit, cursor = query.pop("limit"), query.pop("cursor", None)
    order = repr((organization_id, sorted(query.items())))
    with context.database().reading() as session:
        queries.get_account(session, organization_id)
        invoices = queries.invoices(organization_id, now=now, **query)
        page = paging.page(session, invoices, limit=limit, cursor=cursor, order=order)
        page["data"] = queries.show_invoice_rows(session, page["data"], now)
    return json_response(schemas.InvoicePage().dump(page))


@blp.route("/<invoice_id>", methods=["GET"])
@requires("invoices.read")
@blp.response(200, schemas.Invoice)
def read_invoice(organization_id: str, invoice_id: str) -> Response:
    """Retrieve an invoice with its lines and credit notes."""
    with context.database().reading() as session:
        queries.get_account(session, organization_id)
        invoice = queries.get_invoice(session, organization_id, invoice_id)
        shown = queries.show_invoice(session, invoice, clock.now())
    return json_response(schemas.Invoice().dump(shown))


@blp.route("", methods=["POST"])
@idempotency.key_required
@requires("invoices.issue")
@blp.arguments(schemas.NewInvoice)
@blp.response(201, schemas.Invoice)
def create_invoice(body: dict[str, Any], organization_id: str) -> Response:
    """Invoice the whole unbilled amount now."""
    return idempotency.change(
        schemas.Invoice(),
        lambda session: actions.issue_invoice(
            session, organization_id=organization_id, **_by_now()
        ),
        status=201,
    )


@blp.route("/<invoice_id>/void", methods=["POST"])
@idempotency.key_required
@requires("invoices.issue")
@blp.arguments(schemas.VoidInvoice)
@blp.response(200, schemas.Invoice)
def void_invoice(body: dict[str, Any], organization_id: str, invoice_id: str) -> Response:
    """Void an invoice without payments or credits; its charges are unbilled again."""
    return idempotency.change(
        schemas.Invoice(),
        lambda session: actions.void_invoice(
            session,
            organization_id=organization_id,
            invoice_id=invoice_id,
            **_by_now(),
            **body,
        ),
    )


@blp.route("/<invoice_id>/credit-notes", methods=["POST"])
@idempotency.key_required
@requires("invoices.issue")
@blp.arguments(schemas.NewCreditNote)
@blp.response(201, schemas.Invoice)
def create_credit_note(body: dict[str, Any], organization_id: str, invoice_id: str) -> Response:
    """Credit an invoice in part, or all that is left of it; returns the invoice."""
    return idempotency.change(
        schemas.Invoice(),
        lambda session: actions.issue_credit_note(
            session,
            organization_id=organization_id,
            invoice_id=invoice_id,
            **_by_now(),
            **body,
        ),
        status=201,
    )
