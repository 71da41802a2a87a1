"""Consuming from RabbitMQ: the queues of a service, one message at a time or in batches."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kombu.connection import Connection

from chassis.messaging import broker
from chassis.messaging.batches import Batches, Delivery
from chassis.runtime import failpoints, log
from chassis.runtime.backoff import Backoff
from chassis.runtime.outages import Outage

PREFETCH = 20
BATCH = 500
BATCH_BYTES = 8 * 1024 * 1024
BATCH_SECONDS = 0.005
STEADY = 60
_LOG = log.get("bus")


class RabbitConsumer:
    """Passes each message of a service's queue to ``receive`` and acknowledges it afterwards.
    ``ready`` raises while messages cannot be applied, and is called before consuming starts."""

    prefetch, heartbeat = PREFETCH, broker.HEARTBEAT

    def __init__(
        self,
        url: str,
        service: str,
        receive: Callable[..., None],
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self.url, self.service, self._receive, self._ready = url, service, receive, ready
        self._outage = Outage(_LOG, "consumer.failed", "consumer.recovered")
        self._queues = {f"{service}.inbox": self._process, f"{service}.dead": self._process_dead}

    def run(self, stop: threading.Event) -> None:
        """Consume until told to stop. After an error it starts over with a new connection."""
        backoff = Backoff(0.5, 30.0, steady=STEADY)
        while not stop.is_set():
            try:
                self._consume(stop)
            except Exception as problem:
                self._outage.failed(problem)
                backoff.wait(stop)

    def check(self) -> None:
        """Raise unless the broker can be reached."""
        broker.connect(self.url, f"{self.service}-check").release()

    def _consume(self, stop: threading.Event) -> None:
        self._ready()  # what is delivered in vain comes closer to the delivery limit
        connection = broker.connect(self.url, f"{self.service}-listen", heartbeat=self.heartbeat)
        try:
            channel = connection.channel()
            channel.auto_decode = False  # the producer must not choose how we decode
            channel.basic_qos(0, self.prefetch, False)
            for queue, process in self._queues.items():
                channel.basic_consume(queue, callback=process)
            while not stop.is_set():
                connection.heartbeat_check()
                self._drain(connection)
                self._outage.over()
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

    prefetch, heartbeat = 2 * BATCH, broker.BATCH_HEARTBEAT

    def __init__(self, url: str, service: str, batches: Batches) -> None:
        super().__init__(url, service, batches.inbox.receive, batches.inbox.database.check)
        self._batches = batches
        self._held: list[Any] = []
        self._bytes = 0
        self._queues = {broker.batch_queue(service, batches.kind.TYPE): self._collect}

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


def _is_redelivered(message: Any) -> bool:
    return bool(message.delivery_info["redelivered"])


def _user(message: Any) -> str:
    return message.properties.get("user_id") or "nobody"


def _reason_of_death(message: Any) -> str:
    deaths = (message.headers or {}).get("x-death")
    if not isinstance(deaths, list) or not deaths or not isinstance(deaths[0], dict):
        return "unknown"
    return str(deaths[0].get("reason", "unknown"))


def _body(message: Any) -> bytes:
    if isinstance(message.body, bytes):
        return message.body
    return str(message.body).encode("utf-8", "surrogatepass")
