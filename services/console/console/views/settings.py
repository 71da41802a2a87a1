"""The settings of a customer, and its danger zone."""

from flask import Blueprint

blp = Blueprint("settings", __name__, url_prefix="/c/<org>")
