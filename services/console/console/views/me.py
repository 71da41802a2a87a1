"""Oneself: sessions, one-time codes, organizations to switch to."""

from flask import Blueprint

blp = Blueprint("me", __name__, url_prefix="/me")
