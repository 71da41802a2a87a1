"""The revocations of the services that end sessions."""

from collections.abc import Mapping
from typing import Any

from chassis.http.client import InternalClient

from gateway.clients import Feed
from gateway.guard.revocations import Revocations

_SERVICES = ("membership", "org")


def follow(clients: Mapping[str, InternalClient], settings: Any) -> tuple[Revocations, list[Feed]]:
    """The revocations, and the feeds that they are learned from once these are started."""
    revocations = Revocations()
    feeds = [
        Feed(
            clients[name],
            revocations.learn,
            silence=settings.feed_silence_s,
            pause=settings.feed_poll_s,
            name=name,
        )
        for name in _SERVICES
    ]
    return revocations, feeds
