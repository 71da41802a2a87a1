"""How the account stands, and what can be done about it."""

from flask import Blueprint

blp = Blueprint("payment", __name__, url_prefix="/c/<org>")
