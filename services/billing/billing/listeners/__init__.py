"""The message door and the clock's."""

from billing.listeners.clock import JOBS
from billing.listeners.messages import LISTENERS

__all__ = ["JOBS", "LISTENERS"]
