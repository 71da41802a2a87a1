"""The pages about an account."""

from console.views.payment import account, posting, terms
from console.views.payment.blueprint import blp

__all__ = ["account", "blp", "posting", "terms"]
