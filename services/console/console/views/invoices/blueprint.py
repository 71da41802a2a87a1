"""Where the pages about invoices are."""

from flask import Blueprint

blp = Blueprint("invoices", __name__, url_prefix="/c/<org>")
