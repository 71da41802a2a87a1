"""Where the pages about an account are."""

from flask import Blueprint

blp = Blueprint("payment", __name__, url_prefix="/c/<org>")
