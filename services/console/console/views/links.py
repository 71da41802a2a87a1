"""The links that were mailed: verify an address, choose a password, undo a change."""

from flask import Blueprint

blp = Blueprint("links", __name__)
