"""RabbitMQ through kombu. No other module knows the broker."""

import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import kombu.compression
from amqp import Message as AmqpMessage
from contracts import by_type
from kombu.connection import Connection

from chassis.messaging.batches import Batches, Delivery
from chassis.messaging.relay import OutgoingMessage, PublishResult
from chassis.runtime import failpoints, log
from chassis.runtime.backoff import Backoff

PREFETCH = 20
BATCH = 500
BATCH_BYTES = 8 * 1024 * 1024
BATCH_SECONDS = 0.005
CONFIRM_SECONDS = 5.0
HEARTBEAT = 30
STEADY = 60
CONTENT_TYPE = "application/cloudevents+json"
_LOG = log.get("bus")

# kombu would decompress a message before its size can be checked. We send and accept none.
kombu.compression._decoders.clear()


class InDoubt(Exception):
    """The broker did not confirm that it has stored the messages."""


def connect(url: str, role: str) -> Connection:
    """An open connection. ``url``: one or more nodes, separated by ``;``. Raises within a few
    seconds if none responds."""
    nodes = url.split(";")
    random.shuffle(nodes)
    connection = Connection(
        ";".join(nodes),
        heartbeat=HEARTBEAT,
        connect_timeout=3,
        transport_options={
            "read_timeout": 15,
            "write_timeout": 15,
            "max_retries": 1,
            "client_properties": {"connection_name": f"{role}@{socket.gethostname()}"},
        },
    )
    connection.ensure_connection(max_retries=1, timeout=10)
    return connection


def declare(
    url: str,
    service: str,
    producers: Sequence[str],
    types: Sequence[str],
    batch_types: Sequence[str] = (),
) -> None:
    """Declare what a service needs: its exchange, an inbox bound to the types that it consumes, a
    queue for each type that it consumes in batches, and a queue for what the broker gives up."""
    with connect(url, f"{service}-topology") as connection, connection.channel() as channel:
        for name in {service, *producers}:
            channel.exchange_declare(name, "topic", durable=True, auto_delete=False)
        channel.exchange_declare("dead", "direct", durable=True, auto_delete=False)
        channel.queue_declare(
            f"{service}.dead",
            durable=True,
            auto_delete=False,
            arguments={"x-queue-type": "quorum"},
        )
        channel.queue_bind(f"{service}.dead", "dead", service)
        _declare_queue(channel, service, f"{service}.inbox", types, ordered=True)
        for type_ in batch_types:
            _declare_queue(channel, service, _batch_queue(service, type_), [type_], ordered=False)


def _declare_queue(
    channel: Any, service: str, queue: str, types: Sequence[str], *, ordered: bool
) -> None:
    channel.queue_declare(
        queue,
        durable=True,
        auto_delete=False,
        arguments={
            "x-queue-type": "quorum",
            "x-delivery-limit": 50,
            "x-single-active-consumer": ordered,
            "x-overflow": "reject-publish",
            "x-dead-letter-exchange": "dead",
            "x-dead-letter-routing-key": service,
            "x-dead-letter-strategy": "at-least-once",
            "x-max-length": 1_000_000,
            "x-max-length-bytes": 1024**3,
        },
    )
    for type_ in types:
        channel.queue_bind(queue, _producer(type_), type_)


class RabbitBus:
    """Publishes with confirms, matched by delivery tag. When in doubt it drops the connection."""

    def __init__(self, url: str, service: str) -> None:
        self.url, self.service = url, service
        self._connection: Connection | None = None
        self._channel: Any = None
        self._tag = 0
        self._unconfirmed: dict[int, str] = {}
        self._returned: dict[str, str] = {}
        self._refused = False

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishResult:
        """Publish the messages in this order and wait until all are confirmed. Raises InDoubt or an
        error of the broker."""
        try:
            self._connect()
            self._unconfirmed.clear()
            self._returned.clear()
            self._refused = False
            for n, outgoing in enumerate(messages):
                self._send(outgoing)
                if n == len(messages) // 2:
                    failpoints.hit("relay.half_published")
            self._await_confirms()
        except BaseException:
            self.close()
            raise
        sent = frozenset(outgoing.id for outgoing in messages) - self._returned.keys()
        return PublishResult(sent, dict(self._returned))

    def check(self) -> None:
        """Raise unless the broker can be reached."""
        connect(self.url, f"{self.service}-check").release()

    def close(self) -> None:
        """Drop the connection without closing it politely."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            connection.collect()

    def _connect(self) -> None:
        if self._connection is not None and self._connection.connected:
            return
        self.close()
        self._connection = connect(self.url, f"{self.service}-relay")
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
            if self._refused or time.monotonic() > deadline:
                raise InDoubt(f"{len(self._unconfirmed)} messages were not confirmed")
            try:
                self._connection.drain_events(timeout=0.5)  # type: ignore[union-attr]
            except TimeoutError:
                continue

    def _on_ack(self, tag: int, multiple: bool) -> None:
        confirmed = [tag]
        if multiple:
            confirmed = [earlier for earlier in self._unconfirmed if earlier <= tag]
        for each in confirmed:
            self._unconfirmed.pop(each, None)

    def _on_nack(self, _tag: int, _multiple: bool) -> None:
        self._refused = True

    def _on_return(self, problem: Exception, _exchange: str, _key: str, message: Any) -> None:
        self._returned[message.properties["message_id"]] = str(problem)


class RabbitConsumer:
    """Passes each message of a service's queue to ``receive`` and acknowledges it afterwards.
    ``ready`` raises while messages cannot be applied, and is called before consuming starts."""

    prefetch = PREFETCH

    def __init__(
        self,
        url: str,
        service: str,
        receive: Callable[..., None],
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self.url, self.service, self._receive, self._ready = url, service, receive, ready
        self._queues = {f"{service}.inbox": self._process, f"{service}.dead": self._process_dead}

    def run(self, stop: threading.Event) -> None:
        """Consume until told to stop. After an error it starts over with a new connection."""
        backoff = Backoff(0.5, 30.0, steady=STEADY)
        while not stop.is_set():
            try:
                self._consume(stop)
            except Exception:
                _LOG.warning("consumer.failed", exc_info=True)
                backoff.wait(stop)

    def check(self) -> None:
        """Raise unless the broker can be reached."""
        connect(self.url, f"{self.service}-check").release()

    def _consume(self, stop: threading.Event) -> None:
        self._ready()  # what is delivered in vain comes closer to the delivery limit
        connection = connect(self.url, f"{self.service}-listen")
        try:
            channel = connection.channel()
            channel.auto_decode = False  # the producer must not choose how we decode
            channel.basic_qos(0, self.prefetch, False)
            for queue, process in self._queues.items():
                channel.basic_consume(queue, callback=process)
            while not stop.is_set():
                connection.heartbeat_check()
                self._drain(connection)
        finally:
            # Not canceled first: the next consumer would overtake the messages we still hold.
            connection.collect()

    def _drain(self, connection: Connection) -> None:
        with suppress(TimeoutError):
            connection.drain_events(timeout=1)

    def _process(self, message: Any) -> None:
        self._receive(
            _body(message), published_by=_user(message), redelivered=_is_redelivered(message)
        )
        failpoints.hit("consumer.before_ack")
        message.channel.basic_ack(message.delivery_tag)

    def _process_dead(self, message: Any) -> None:
        """What the broker stopped delivering becomes a dead letter like any other."""
        self._receive(
            _body(message), published_by=_user(message), gave_up=_reason_of_death(message)
        )
        message.channel.basic_ack(message.delivery_tag)


class RabbitBatchConsumer(RabbitConsumer):
    """Consumes the queue of one type in batches: up to ``BATCH`` messages or ``BATCH_BYTES``, or
    what arrives within ``BATCH_SECONDS`` of the first."""

    prefetch = 2 * BATCH

    def __init__(self, url: str, service: str, batches: Batches) -> None:
        super().__init__(url, service, batches.inbox.receive, batches.inbox.database.check)
        self._batches = batches
        self._held: list[Any] = []
        self._bytes = 0
        self._queues = {_batch_queue(service, batches.kind.TYPE): self._collect}

    def _collect(self, message: Any) -> None:
        self._held.append(message)
        self._bytes += len(message.body)

    def _drain(self, connection: Connection) -> None:
        self._held, self._bytes = [], 0
        super()._drain(connection)
        deadline = time.monotonic() + BATCH_SECONDS
        with suppress(TimeoutError):
            while self._held and len(self._held) < BATCH and self._bytes < BATCH_BYTES:
                connection.drain_events(timeout=max(deadline - time.monotonic(), 0.0001))
        if self._held:
            self._apply(connection)

    def _apply(self, connection: Connection) -> None:
        held = self._held
        deliveries = [
            Delivery(_body(message), _user(message), _is_redelivered(message)) for message in held
        ]
        irregular = self._batches.receive(deliveries)
        failpoints.hit("batch.before_ack")
        if not irregular:
            held[-1].channel.basic_ack(held[-1].delivery_tag, multiple=True)
            return
        for position, message in enumerate(held):
            if position not in irregular:
                message.channel.basic_ack(message.delivery_tag)
        for position in irregular:
            connection.heartbeat_check()
            self._process(held[position])


def _batch_queue(service: str, type_: str) -> str:
    return f"{service}.{_producer(type_)}"


def _producer(type_: str) -> str:
    return type_.partition(".")[0]


def _is_redelivered(message: Any) -> bool:
    return bool(message.delivery_info["redelivered"])


def _user(message: Any) -> str:
    return message.properties.get("user_id") or "nobody"


def _is_mandatory(type_: str) -> bool:
    kind = by_type(type_)
    return kind is not None and bool(kind.CONSUMERS)


def _reason_of_death(message: Any) -> str:
    deaths = (message.headers or {}).get("x-death")
    if not isinstance(deaths, list) or not deaths or not isinstance(deaths[0], dict):
        return "unknown"
    return str(deaths[0].get("reason", "unknown"))


def _body(message: Any) -> bytes:
    if isinstance(message.body, bytes):
        return message.body
    return str(message.body).encode("utf-8", "surrogatepass")
