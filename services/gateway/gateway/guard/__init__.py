"""Who is asking, is their token still good, and do they ask too often."""

from gateway.guard.limits import Limits
from gateway.guard.revocations import Revocations
from gateway.guard.tokens import Guard, TokenRevoked

__all__ = ["Guard", "Limits", "Revocations", "TokenRevoked"]
