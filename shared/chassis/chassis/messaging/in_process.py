"""The bus of embedded mode: a message counts as sent when every consumer in this process has
committed."""

import time
from collections.abc import Mapping, Sequence

from contracts import by_type

from chassis.messaging.envelope import Delivery
from chassis.messaging.inbox import Inbox
from chassis.messaging.relay import OutgoingMessage, PublishResult

# Messages that are applied in one transaction: few, so that requests soon get the writer.
MAX_MESSAGES_PER_TRANSACTION = 20
# Seconds after which the rest of a batch is left to the next step of the relay, which reports its
# progress and marks what was sent between them.
MAX_SECONDS_PER_BATCH = 5.0


class InProcessBus:
    """Delivers the messages of one service to the inboxes in this process. The outbox is the
    queue."""

    def __init__(self, service: str, inboxes: Mapping[str, Inbox]) -> None:
        self.service, self.inboxes = service, inboxes

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishResult:
        """Deliver each message to each of its consumers; only the first of them if that takes long.
        Raises if a consumer's database is unavailable."""
        sent: set[str] = set()
        deadline = time.monotonic() + MAX_SECONDS_PER_BATCH
        for start in range(0, len(messages), MAX_MESSAGES_PER_TRANSACTION):
            together = messages[start : start + MAX_MESSAGES_PER_TRANSACTION]
            self._deliver(together)
            sent.update(message.id for message in together)
            if time.monotonic() > deadline:
                break
        return PublishResult(frozenset(sent), {})

    def _deliver(self, messages: Sequence[OutgoingMessage]) -> None:
        deliveries: dict[str, list[Delivery]] = {}
        for message in messages:
            kind = by_type(message.type)
            for service in kind.CONSUMERS if kind else ():
                deliveries.setdefault(service, []).append(Delivery(message.body, self.service))
        for service, received in deliveries.items():
            _receive(self.inboxes[service], received)


def _receive(inbox: Inbox, deliveries: Sequence[Delivery]) -> None:
    if len(deliveries) > 1 and inbox.receive_together(deliveries):
        return
    for raw, published_by, _ in deliveries:
        inbox.receive(raw, published_by=published_by)
