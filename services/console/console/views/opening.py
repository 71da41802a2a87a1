"""Open a customer, a block at a time."""

from flask import Blueprint

blp = Blueprint("opening", __name__, url_prefix="/customers/new")
