"""How the account stands, and what can be done about it."""

from console.views.payment import account, posting, terms
from console.views.payment.blueprint import blp

__all__ = ["account", "blp", "posting", "terms"]
