"""The messages that billing consumes."""

from billing.listeners.messages import LISTENERS
from billing.listeners.metering import BATCHES

__all__ = ["BATCHES", "LISTENERS"]
