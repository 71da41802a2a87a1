"""The provider's own: settings and wallet."""

from flask import Blueprint

blp = Blueprint("provider", __name__, url_prefix="/provider")
