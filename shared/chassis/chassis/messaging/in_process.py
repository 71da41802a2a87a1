"""The bus of embedded mode: a message counts as sent when every consumer in this process has
committed."""

from collections.abc import Mapping, Sequence

from contracts import by_type

from chassis.messaging.inbox import Inbox
from chassis.messaging.relay import OutgoingMessage, PublishResult


class InProcessBus:
    """Delivers the messages of one service to the inboxes in this process. The outbox is the
    queue."""

    def __init__(self, service: str, inboxes: Mapping[str, Inbox]) -> None:
        self.service, self.inboxes = service, inboxes

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishResult:
        """Deliver each message to each of its consumers. Raises if a consumer's database is
        unavailable."""
        for message in messages:
            kind = by_type(message.type)
            for service in kind.CONSUMERS if kind else ():
                self.inboxes[service].receive(message.body, published_by=self.service)
        return PublishResult(frozenset(message.id for message in messages), {})
