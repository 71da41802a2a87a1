"""The blueprint of the pages about an account."""

from flask import Blueprint

blp = Blueprint("payment", __name__, url_prefix="/c/<org>")
