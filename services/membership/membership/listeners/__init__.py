"""Messages from the other services."""

from membership.listeners.messages import LISTENERS

__all__ = ["LISTENERS"]
