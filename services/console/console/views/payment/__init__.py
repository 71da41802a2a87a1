"""How the account stands, and what can be done about it."""

from console.views.payment import posting, standing, terms
from console.views.payment.place import blp

__all__ = ["blp", "posting", "standing", "terms"]
