"""What an account was asked to pay."""

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
    description="What a customer was asked to pay",
)


def _who_and_when() -> dict[str, Any]:
    return {"now": clock.now(), "by": current_caller().actor()}


@blp.route("", methods=["GET"])
@requires("invoices.read")
@blp.arguments(schemas.InvoicesQuery, location="query")
@blp.response(200, schemas.InvoicePage)
def list_invoices(query: dict[str, Any], organization_id: str) -> Response:
    """The account's invoices, newest first, without their lines."""
    now, limit, cursor, filters = clock.now(), query.pop("limit"), query.pop("cursor", None), query
    order = repr((organization_id, sorted(filters.items())))
    with context.database().reading() as session:
        queries.get_account(session, organization_id)
        wanted = queries.invoices(organization_id, now=now, **filters)
        page = paging.page(session, wanted, limit=limit, cursor=cursor, order=order)
    page["data"] = [queries.show_invoice_row(found, now) for found in page["data"]]
    return json_response(schemas.InvoicePage().dump(page))


@blp.route("/<invoice_id>", methods=["GET"])
@requires("invoices.read")
@blp.response(200, schemas.Invoice)
def read_invoice(organization_id: str, invoice_id: str) -> Response:
    """One invoice with all that is on it."""
    with context.database().reading() as session:
        queries.get_account(session, organization_id)
        found = queries.get_invoice(session, organization_id, invoice_id)
        shown = queries.show_invoice(session, found, clock.now())
    return json_response(schemas.Invoice().dump(shown))


@blp.route("", methods=["POST"])
@idempotency.key_required
@requires("invoices.issue")
@blp.arguments(schemas.NewInvoice)
@blp.response(201, schemas.Invoice)
def create_invoice(body: dict[str, Any], organization_id: str) -> Response:
    """Make everything that is unbilled due now."""
    return idempotency.change(
        schemas.Invoice(),
        lambda session: actions.issue_invoice(
            session, organization_id=organization_id, **_who_and_when()
        ),
        status=201,
    )


@blp.route("/<invoice_id>/void", methods=["POST"])
@idempotency.key_required
@requires("invoices.issue")
@blp.arguments(schemas.VoidInvoice)
@blp.response(200, schemas.Invoice)
def void_invoice(body: dict[str, Any], organization_id: str, invoice_id: str) -> Response:
    """Take an invoice back of which nothing is paid or credited; what was on it is unbilled
    again."""
    return idempotency.change(
        schemas.Invoice(),
        lambda session: actions.void_invoice(
            session,
            organization_id=organization_id,
            invoice_id=invoice_id,
            **_who_and_when(),
            **body,
        ),
    )


@blp.route("/<invoice_id>/credit-notes", methods=["POST"])
@idempotency.key_required
@requires("invoices.issue")
@blp.arguments(schemas.NewCreditNote)
@blp.response(201, schemas.Invoice)
def create_credit_note(body: dict[str, Any], organization_id: str, invoice_id: str) -> Response:
    """Take an invoice back in part, or all that is left of it; the invoice with its credit
    notes."""
    return idempotency.change(
        schemas.Invoice(),
        lambda session: actions.issue_credit_note(
            session,
            organization_id=organization_id,
            invoice_id=invoice_id,
            **_who_and_when(),
            **body,
        ),
        status=201,
    )
