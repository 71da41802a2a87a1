"""The message door and the clock's."""

from membership.listeners.clock import JOBS, forget, send_mails, tell_of_failures
from membership.listeners.messages import LISTENERS

__all__ = ["JOBS", "LISTENERS", "forget", "send_mails", "tell_of_failures"]
