"""Whether a request is let through: its token, revocations, limits."""

from gateway.guard.address_monitor import AddressMonitor
from gateway.guard.capacity import Capacity, slot_for
from gateway.guard.following import follow
from gateway.guard.limits import Limits, RateLimit
from gateway.guard.revocations import Revocations
from gateway.guard.tokens import Guard, TokenRevoked

__all__ = [
    "AddressMonitor",
    "Capacity",
    "Guard",
    "Limits",
    "RateLimit",
    "Revocations",
    "TokenRevoked",
    "follow",
    "slot_for",
]
