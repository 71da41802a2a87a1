"""The bus of embedded mode: a message counts as sent when every consumer in this process has
committed."""

from collections.abc import Mapping, Sequence

from contracts import by_type

from chassis.messaging.envelope import Delivery
from chassis.messaging.inbox import Inbox
from chassis.messaging.relay import OutgoingMessage, PublishResult

# Messages that are applied in one transaction: few, so that requests soon get the writer.
TOGETHER = 20


class InProcessBus:
    """Delivers the messages of one service to the inboxes in this process. The outbox is the
    queue."""

    def __init__(self, service: str, inboxes: Mapping[str, Inbox]) -> None:
        self.service, self.inboxes = service, inboxes

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishResult:
        """Deliver each message to each of its consumers. Raises if a consumer's database is
        unavailable."""
        for start in range(0, len(messages), TOGETHER):
            deliveries: dict[str, list[Delivery]] = {}
            for message in messages[start : start + TOGETHER]:
                kind = by_type(message.type)
                for service in kind.CONSUMERS if kind else ():
                    deliveries.setdefault(service, []).append(Delivery(message.body, self.service))
            for service, received in deliveries.items():
                _receive(self.inboxes[service], received)
        return PublishResult(frozenset(message.id for message in messages), {})


def _receive(inbox: Inbox, deliveries: Sequence[Delivery]) -> None:
    if len(deliveries) > 1 and inbox.receive_together(deliveries):
        return
    for raw, published_by, _ in deliveries:
        inbox.receive(raw, published_by=published_by)
