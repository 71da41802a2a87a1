"""RabbitMQ through kombu: the only module that knows the broker."""

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
BATCH_WITHIN = 0.005
CONFIRM_WITHIN = 5.0
HEARTBEAT = 30
STEADY = 60
CONTENT_TYPE = "application/cloudevents+json"
_LOG = log.get("bus")

# A compressed message is unpacked by kombu before anybody can look at its size; we send and accept
# none.
kombu.compression._decoders.clear()


class InDoubt(Exception):
    """The broker did not say clearly that it has the messages."""


def connect(url: str, role: str) -> Connection:
    """An open connection. ``url`` may name several nodes, separated by ``;``. Raises within a few
    seconds."""
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
    heard: Sequence[str],
    in_batches: Sequence[str] = (),
) -> None:
    """The deploy step: a service's exchange, its queue bound to exactly what it hears, a queue for
    each type that it hears in batches, and the queue of last resort."""
    with connect(url, f"{service}-topology") as connection, connection.channel() as channel:
        for name in {service, *producers}:
            channel.exchange_declare(name, "topic", durable=True, auto_delete=False)
        channel.exchange_declare("dead", "direct", durable=True, auto_delete=False)
        quorum = {"x-queue-type": "quorum"}
        channel.queue_declare(f"{service}.dead", durable=True, auto_delete=False, arguments=quorum)
        channel.queue_bind(f"{service}.dead", "dead", service)
        for queue, types in (
            (f"{service}.inbox", heard),
            *((_apart(service, type_), [type_]) for type_ in in_batches),
        ):
            channel.queue_declare(
                queue,
                durable=True,
                auto_delete=False,
                arguments={
                    **quorum,
                    "x-delivery-limit": 50,
                    "x-single-active-consumer": queue == f"{service}.inbox",
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
    """Publishes with confirms matched by delivery tag; any doubt drops the connection."""

    def __init__(self, url: str, service: str) -> None:
        self.url, self.service = url, service
        self._connection: Connection | None = None
        self._channel: Any = None
        self._tag = 0
        self._open: dict[int, str] = {}
        self._returned: dict[str, str] = {}
        self._refused = False

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishResult:
        """Carry the messages in this order; answers once every one is confirmed. Raises InDoubt or a
        broker error."""
        try:
            self._connect()
            self._open.clear()
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
        """Drop the socket without a word; nothing of it is used again."""
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
        self._channel.events["basic_ack"].add(self._acked)
        self._channel.events["basic_nack"].add(self._nacked)
        self._channel.events["basic_return"].add(self._came_back)

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
        self._open[self._tag] = outgoing.id
        mandatory = _must_arrive(outgoing.type)
        self._channel._basic_publish(
            message, exchange=self.service, routing_key=outgoing.type, mandatory=mandatory
        )

    def _await_confirms(self) -> None:
        deadline = time.monotonic() + CONFIRM_WITHIN
        while self._open:
            if self._refused or time.monotonic() > deadline:
                raise InDoubt(f"{len(self._open)} messages were not confirmed")
            try:
                self._connection.drain_events(timeout=0.5)  # type: ignore[union-attr]
            except TimeoutError:
                continue

    def _acked(self, tag: int, multiple: bool) -> None:
        for done in [t for t in self._open if t <= tag] if multiple else [tag]:
            self._open.pop(done, None)

    def _nacked(self, _tag: int, _multiple: bool) -> None:
        self._refused = True

    def _came_back(self, problem: Exception, _exchange: str, _key: str, message: Any) -> None:
        self._returned[message.properties["message_id"]] = str(problem)


class RabbitConsumer:
    """Hands each message of a service's queue to ``receive`` and acknowledges after it has
    returned."""

    prefetch = PREFETCH

    def __init__(
        self,
        url: str,
        service: str,
        receive: Callable[..., None],
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self.url, self.service, self._receive, self._ready = url, service, receive, ready
        self._queues = {f"{service}.inbox": self._take, f"{service}.dead": self._take_dead}

    def run(self, stop: threading.Event) -> None:
        """Consume until told to stop; every trouble throws the connection away and builds a new
        one."""
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
        self._ready()  # what is taken while the database is away comes nearer to the delivery limit
        connection = connect(self.url, f"{self.service}-listen")
        try:
            channel = connection.channel()
            channel.auto_decode = False  # the sender's charset is not ours to run
            channel.basic_qos(0, self.prefetch, False)
            for queue, take in self._queues.items():
                channel.basic_consume(queue, callback=take)
            while not stop.is_set():
                connection.heartbeat_check()
                self._hear(connection)
        finally:
            # No cancel: a polite goodbye lets the next consumer overtake what we still hold.
            connection.collect()

    def _hear(self, connection: Connection) -> None:
        with suppress(TimeoutError):
            connection.drain_events(timeout=1)

    def _take(self, message: Any) -> None:
        self._receive(_body(message), published_by=_user(message), again=_came_before(message))
        failpoints.hit("consumer.before_ack")
        message.channel.basic_ack(message.delivery_tag)

    def _take_dead(self, message: Any) -> None:
        """What the broker itself gave up on (its last fuse) is laid aside like everything else."""
        deaths = (message.headers or {}).get("x-death")
        last = (
            deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}
        )
        self._receive(_body(message), gave_up=str(last.get("reason", "unknown")))
        message.channel.basic_ack(message.delivery_tag)


class RabbitBatchConsumer(RabbitConsumer):
    """Hands over what lies in a kind's own queue many at a time: up to ``BATCH`` or ``BATCH_BYTES``, or as soon as
    ``BATCH_WITHIN`` has passed and nothing more lies ready."""

    prefetch = 2 * BATCH

    def __init__(self, url: str, service: str, batches: Batches) -> None:
        super().__init__(url, service, batches.inbox.receive, batches.inbox.database.check)
        self._batches = batches
        self._held: list[Any] = []
        self._bytes = 0
        self._queues = {_apart(service, batches.kind.TYPE): self._hold}

    def _hold(self, message: Any) -> None:
        self._held.append(message)
        self._bytes += len(message.body)

    def _hear(self, connection: Connection) -> None:
        self._held, self._bytes = [], 0
        super()._hear(connection)
        enough = time.monotonic() + BATCH_WITHIN
        with suppress(TimeoutError):
            while self._held and len(self._held) < BATCH and self._bytes < BATCH_BYTES:
                connection.drain_events(timeout=max(enough - time.monotonic(), 0.0001))
        if self._held:
            self._hand_over(connection)

    def _hand_over(self, connection: Connection) -> None:
        held = self._held
        alone = self._batches.receive([Delivery(_body(m), _user(m), _came_before(m)) for m in held])
        failpoints.hit("batch.before_ack")
        odd = set(alone)
        if not odd:
            held[-1].channel.basic_ack(held[-1].delivery_tag, multiple=True)
            return
        for message in [m for n, m in enumerate(held) if n not in odd]:
            message.channel.basic_ack(message.delivery_tag)
        for n in alone:
            connection.heartbeat_check()
            self._take(held[n])


def _apart(service: str, type_: str) -> str:
    return f"{service}.{_producer(type_)}"


def _producer(type_: str) -> str:
    return type_.partition(".")[0]


def _came_before(message: Any) -> bool:
    return bool(message.delivery_info["redelivered"])


def _user(message: Any) -> str:
    return message.properties.get("user_id") or "nobody"


def _must_arrive(type_: str) -> bool:
    kind = by_type(type_)
    return kind is not None and bool(kind.CONSUMERS)


def _body(message: Any) -> bytes:
    return (
        message.body
        if isinstance(message.body, bytes)
        else str(message.body).encode("utf-8", "surrogatepass")
    )
