"""Who owns a customer, and how that changes."""

from flask import Blueprint

blp = Blueprint("ownership", __name__, url_prefix="/c/<org>")
