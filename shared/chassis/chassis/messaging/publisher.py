"""Publishing to RabbitMQ: what the relay sends."""

import time
from collections.abc import Sequence
from typing import Any

from amqp import Message as AmqpMessage
from contracts import by_type
from kombu.connection import Connection

from chassis.messaging import broker, topology
from chassis.messaging.relay import OutgoingMessage, PublishResult
from chassis.runtime import failpoints

CONFIRM_SECONDS = 5.0
REFUSED = "refused by a queue that is full or failed"
CONTENT_TYPE = "application/cloudevents+json"


class InDoubt(Exception):
    """The broker did not confirm that it has stored the messages."""


class RabbitBus:
    """Publishes with confirms, matched by delivery tag. When in doubt it drops the connection. A
    message that a queue refuses is returned, although other queues may have stored it: the broker
    does not tell which one it was."""

    def __init__(self, url: str, service: str) -> None:
        self.url, self.service = url, service
        self._connection: Connection | None = None
        self._channel: Any = None
        self._tag = 0
        self._unconfirmed: dict[int, str] = {}
        self._returned: dict[str, str] = {}

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishResult:
        """Publish the messages in this order and wait until all are confirmed. Raises InDoubt or an
        error of the broker."""
        try:
            self._connect()
            self._unconfirmed.clear()
            self._returned.clear()
            for n, outgoing in enumerate(messages):
                self._send(outgoing)
                if n == len(messages) // 2:
                    failpoints.hit("relay.half_published")
            self._await_confirms()
            if REFUSED in self._returned.values():
                self.close()  # a channel may not notice that a queue is no longer full
        except BaseException:
            self.close()
            raise
        sent = frozenset(outgoing.id for outgoing in messages) - self._returned.keys()
        return PublishResult(sent, dict(self._returned))

    def check(self) -> None:
        """Raise unless the broker can be reached."""
        broker.connect(self.url, f"{self.service}-check").release()

    def close(self) -> None:
        """Drop the connection without closing it politely."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            connection.collect()

    def _connect(self) -> None:
        if self._connection is not None and self._connection.connected:
            return
        self.close()
        self._connection = broker.connect(self.url, f"{self.service}-relay")
        self._channel = self._connection.channel()
        self._channel.confirm_select()
        self._tag = 0
        self._channel.events["basic_ack"].add(self._on_ack)
        self._channel.events["basic_nack"].add(self._on_nack)
        self._channel.events["basic_return"].add(self._on_return)

    def _send(self, outgoing: OutgoingMessage) -> None:
        message = AmqpMessage(
            outgoing.body,
            content_type=CONTENT_TYPE,
            content_encoding="utf-8",
            delivery_mode=2,
            message_id=outgoing.id,
            type=outgoing.type,
            app_id=self.service,
            user_id=self._connection.userid,  # type: ignore[union-attr]
            timestamp=int(outgoing.occurred_at.timestamp()),
            application_headers={topology.HASHED: outgoing.aggregate},
        )
        self._tag += 1
        self._unconfirmed[self._tag] = outgoing.id
        mandatory = _is_mandatory(outgoing.type)
        self._channel.basic_publish(
            message, exchange=self.service, routing_key=outgoing.type, mandatory=mandatory
        )

    def _await_confirms(self) -> None:
        deadline = time.monotonic() + CONFIRM_SECONDS
        while self._unconfirmed:
            if time.monotonic() > deadline:
                raise InDoubt(f"{len(self._unconfirmed)} messages were not confirmed")
            try:
                self._connection.drain_events(timeout=0.5)  # type: ignore[union-attr]
            except TimeoutError:
                continue

    def _on_ack(self, tag: int, multiple: bool) -> None:
        self._settle(tag, multiple)

    def _on_nack(self, tag: int, multiple: bool) -> None:
        self._returned.update(dict.fromkeys(self._settle(tag, multiple), REFUSED))

    def _settle(self, tag: int, multiple: bool) -> list[str]:
        """The ids of the messages that the broker has confirmed or refused by this."""
        tags = [tag]
        if multiple:
            tags = [earlier for earlier in self._unconfirmed if earlier <= tag]
        return [self._unconfirmed.pop(each) for each in tags if each in self._unconfirmed]

    def _on_return(self, problem: Exception, _exchange: str, _key: str, message: Any) -> None:
        self._returned[message.properties["message_id"]] = str(problem)


def _is_mandatory(type_: str) -> bool:
    kind = by_type(type_)
    return kind is not None and bool(kind.CONSUMERS)
