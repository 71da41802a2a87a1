"""The transactions of a customer."""

from flask import Blueprint

blp = Blueprint("transactions", __name__, url_prefix="/c/<org>")
