"""Whether a request is let through: its token, revocations, rate limits."""

from gateway.guard.address_monitor import AddressMonitor
from gateway.guard.limits import Limits, RateLimit
from gateway.guard.revocations import Revocations
from gateway.guard.tokens import Guard, TokenRevoked

__all__ = ["AddressMonitor", "Guard", "Limits", "RateLimit", "Revocations", "TokenRevoked"]
