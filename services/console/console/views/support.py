"""Remote Support: grants, who is inside, consent."""

from flask import Blueprint

blp = Blueprint("support", __name__, url_prefix="/c/<org>")
