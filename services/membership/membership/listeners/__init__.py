"""The message door and the clock's."""

from membership.listeners.clock import (
    JOBS,
    end_support,
    expire_offers,
    forget,
    send_mails,
    tell_of_failures,
)
from membership.listeners.messages import LISTENERS

__all__ = [
    "JOBS",
    "LISTENERS",
    "end_support",
    "expire_offers",
    "forget",
    "send_mails",
    "tell_of_failures",
]
