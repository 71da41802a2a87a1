"""The end of a customer: pre-flight, countdown, way back."""

from flask import Blueprint

blp = Blueprint("deletion", __name__, url_prefix="/c/<org>")
