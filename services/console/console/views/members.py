"""The people of a customer."""

from flask import Blueprint

blp = Blueprint("members", __name__, url_prefix="/c/<org>")
