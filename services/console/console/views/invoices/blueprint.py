"""The blueprint of the pages about invoices."""

from flask import Blueprint

blp = Blueprint("invoices", __name__, url_prefix="/c/<org>")
