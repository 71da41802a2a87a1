"""The embedded footing's bus: a message counts as sent once every hearer in this process has
committed."""

from collections.abc import Mapping, Sequence

from contracts import by_type

from chassis.messaging.inbox import Inbox
from chassis.messaging.relay import OutgoingMessage, PublishResult


class InProcessBus:
    """Carries messages to the inboxes of the services in this process; the outbox itself is the
    queue."""

    def __init__(self, inboxes: Mapping[str, Inbox]) -> None:
        self.inboxes = inboxes

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishResult:
        """Hand each message to each of its hearers. Raises when a hearer's database can't take
        it."""
        for message in messages:
            kind = by_type(message.type)
            for service in kind.CONSUMERS if kind else ():
                self.inboxes[service].receive(message.body)
        return PublishResult(frozenset(message.id for message in messages), {})
