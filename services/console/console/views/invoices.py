"""The invoices and payments of a customer."""

from flask import Blueprint

blp = Blueprint("invoices", __name__, url_prefix="/c/<org>")
