"""Queues for programs outside that consume our messages.

A queue that is full, bound to a service's exchange, and refuses messages holds up the service's
outbox. So subscribers declare and bind nothing: this does it for them, with limits beyond which the
oldest messages are dropped, on a quorum queue like ours, which stores what it confirms."""

import re
from collections.abc import Sequence

from contracts.message import every_message

from chassis.messaging import broker
from chassis.runtime.settings import Misconfigured

MAX_LENGTH, MAX_BYTES = 100_000, 256 * 1024**2


def declare(url: str, name: str, types: Sequence[str]) -> str:
    """Declare the queue of a subscriber and bind it to these types of public messages. Returns the
    name of the queue. ``url``: the broker, as its administrator. Raises Misconfigured."""
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", name):
        raise Misconfigured(f"{name}: name the subscriber by a-z, 0-9 and -, like billing-export")
    if others := set(types) - {kind.TYPE for kind in every_message() if kind.PUBLIC}:
        raise Misconfigured(
            f"no public messages: {', '.join(sorted(others))}; see docs/messages.md"
        )
    queue = f"sub.{name}"
    with broker.connect(url, "subscribe") as connection, connection.channel() as channel:
        channel.queue_declare(
            queue,
            durable=True,
            auto_delete=False,
            arguments={
                "x-queue-type": "quorum",
                "x-overflow": "drop-head",
                "x-max-length": MAX_LENGTH,
                "x-max-length-bytes": MAX_BYTES,
            },
        )
        for type_ in types:
            channel.queue_bind(queue, type_.partition(".")[0], type_)
    return queue
