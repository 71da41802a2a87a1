"""The message door and the clock's."""

from billing.listeners.clock import JOBS
from billing.listeners.messages import LISTENERS
from billing.listeners.metering import BATCHES

__all__ = ["BATCHES", "JOBS", "LISTENERS"]
