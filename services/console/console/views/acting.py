"""Login As, and every way out of a customer's place."""

from flask import Blueprint

blp = Blueprint("acting", __name__)
