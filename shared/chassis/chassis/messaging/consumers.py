"""Consuming from RabbitMQ: the queues of a service, which its processes share."""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from kombu.connection import Connection

from chassis.db.leases import Leases
from chassis.messaging import broker, topology
from chassis.messaging.batches import Batches
from chassis.messaging.envelope import Delivery
from chassis.messaging.inbox import Inbox
from chassis.messaging.topology import Layout
from chassis.runtime import clock, failpoints, log
from chassis.runtime.backoff import Backoff
from chassis.runtime.outages import Outage
from chassis.runtime.readiness import Check, Progress

STEADY = 60
# Seconds between looks at whether the layout of the queues is still the same.
LAYOUT_EVERY = 2.5
# A process that is stopped for longer loses its queues. Those of one that died are taken over by
# others at their next renewal, after half of it at most.
LEASE = timedelta(seconds=8)
# Seconds. A batch that takes longer is followed by smaller ones: between batches the connection and
# the leases are kept alive.
LONG_BATCH = 1.0
_LOG = log.get("bus")


class RabbitConsumer:
    """Consumes a share of the service's inbox, and what the broker gave up. Messages are applied
    together: up to ``batch`` of them or ``batch_bytes``, or what arrives within ``batch_seconds``
    of the first.

    Other processes have the other queues. Which one has which is agreed by leases; that each queue
    is consumed in order does not depend on them, for it has a single active consumer."""

    prefetch, heartbeat = 50, broker.HEARTBEAT
    batch, batch_bytes, batch_seconds = 100, 8 * 1024 * 1024, 0.01
    kind = "inbox"

    def __init__(self, url: str, service: str, inbox: Inbox) -> None:
        self.url, self.service, self.inbox = url, service, inbox
        self._outage = Outage(_LOG, "consumer.failed", "consumer.recovered")
        self._progress = Progress()
        self._own = {f"{service}.dead": self._process_dead}
        self._leases: Leases | None = None
        self._size = self.batch
        self._held: list[Any] = []
        self._bytes = 0

    def run(self, stop: threading.Event) -> None:
        """Consume until told to stop. After an error it starts over with a new connection."""
        backoff = Backoff(0.5, 30.0, steady=STEADY)
        while not stop.is_set():
            try:
                self._consume(stop)
            except Exception as problem:
                self._outage.failed(problem)
                self._progress.failed(problem)
                self._release()
                backoff.wait(stop)
        self._release()

    @property
    def checks(self) -> Mapping[str, Check]:
        """What says whether it consumes."""
        return {self.kind: self._progress.check}

    def _consume(self, stop: threading.Event) -> None:
        """Consume this process's share until told to stop, or until the share changes."""
        self._held, self._bytes = [], 0
        self.inbox.database.check()
        connection = broker.connect(
            self.url, f"{self.service}-{self.kind}", heartbeat=self.heartbeat
        )
        try:
            broker.read_ahead(connection)
            layout = self._layout(connection)
            share = self._share(layout)
            channel = self._open(connection)
            queues = [each for each in share if not layout.old or topology.is_free(channel, each)]
            self._subscribe(channel, queues)
            due = time.monotonic() + LAYOUT_EVERY
            while not stop.is_set() and self._share(layout) == share:
                connection.heartbeat_check()
                messages = self._gather(connection)
                if messages:
                    self._apply(connection, messages)
                self._outage.over()
                self._progress.succeeded()
                if time.monotonic() >= due:
                    if queues != share or self._has_changed(connection, channel, layout, queues):
                        return
                    due = time.monotonic() + LAYOUT_EVERY
        finally:
            # Not canceled first: the next consumer would overtake the messages we still hold.
            connection.collect()

    def _layout(self, connection: Connection) -> Layout:
        return topology.layout(connection, self.service)

    def _share(self, layout: Layout) -> list[str]:
        """The queues that this process consumes: of the old ones, until all are emptied."""
        parts = sorted(layout.old or layout.queues)
        if not parts:
            self._release()
            return []
        if self._leases is None or self._leases.parts != parts:
            self._release()
            self._leases = Leases(self.inbox.database, self.kind, parts, LEASE)
        return sorted(self._leases.held(clock.now()))

    def _release(self) -> None:
        """Give the share away, for other processes to take at once."""
        leases, self._leases = self._leases, None
        if leases is not None:
            with suppress(Exception):  # without a database they run out
                leases.release(clock.now())

    def _open(self, connection: Connection) -> Any:
        channel = connection.channel()
        channel.auto_decode = False  # the producer must not choose how we decode
        channel.basic_qos(0, self.prefetch, False)
        return channel

    def _subscribe(self, channel: Any, queues: Sequence[str]) -> None:
        for queue in queues:
            channel.basic_consume(queue, callback=self._collect)
        for queue, process in self._own.items():
            channel.basic_consume(queue, callback=process)

    def _has_changed(
        self, connection: Connection, channel: Any, layout: Layout, queues: Sequence[str]
    ) -> bool:
        """Whether other queues are to be consumed now. Deletes an old one that is drained."""
        if not layout.old:
            return not topology.is_current(channel, layout)
        drained = [each for each in queues if topology.is_drained(channel, each, layout)]
        if not drained:
            return self._layout(connection) != layout
        channel.close()
        for queue in drained:
            if topology.delete_if_abandoned(connection.default_channel, queue):
                _LOG.info("queue.deleted", queue=queue)
        return True

    def _collect(self, message: Any) -> None:
        self._held.append(message)
        self._bytes += len(message.body)

    def _gather(self, connection: Connection) -> list[Any]:
        """Wait a second for a message, and shortly for those that follow it."""
        if not self._held:
            with suppress(TimeoutError):
                connection.drain_events(timeout=1)
        deadline = time.monotonic() + self.batch_seconds
        with suppress(TimeoutError):
            while self._held and len(self._held) < self._size and self._bytes < self.batch_bytes:
                connection.drain_events(timeout=max(deadline - time.monotonic(), 0.0001))
        messages, self._held = self._held[: self._size], self._held[self._size :]
        self._bytes = sum(len(message.body) for message in self._held)
        return messages

    def _apply(self, connection: Connection, messages: Sequence[Any]) -> None:
        """Apply the messages in their order: together, or else one by one."""
        if len(messages) > 1 and self._apply_together(messages):
            return
        for message in messages:
            self._keep_alive(connection)
            self._process(message)

    def _apply_together(self, messages: Sequence[Any]) -> bool:
        began = time.monotonic()
        applied = self.inbox.receive_together(list(map(_delivery, messages)))
        if time.monotonic() - began > LONG_BATCH:
            self._size = max(2, len(messages) // 2)
        else:
            self._size = min(self.batch, 2 * self._size)
        if applied:
            failpoints.hit("consumer.before_ack")
            messages[-1].channel.basic_ack(messages[-1].delivery_tag, multiple=True)
        return applied

    def _keep_alive(self, connection: Connection) -> None:
        """Between messages that are applied one by one: only what is read from the connection
        counts as a sign of the broker's life."""
        with suppress(TimeoutError):
            connection.drain_events(timeout=0.0001)
        connection.heartbeat_check()
        if self._leases is not None:
            self._leases.held(clock.now())

    def _process(self, message: Any) -> None:
        raw, published_by, redelivered = _delivery(message)
        self.inbox.receive(raw, published_by=published_by, redelivered=redelivered)
        failpoints.hit("consumer.before_ack")
        message.channel.basic_ack(message.delivery_tag)

    def _process_dead(self, message: Any) -> None:
        """What the broker stopped delivering becomes a dead letter like any other."""
        self.inbox.receive(
            _body(message), published_by=_user(message), gave_up=_reason_of_death(message)
        )
        message.channel.basic_ack(message.delivery_tag)


class RabbitBatchConsumer(RabbitConsumer):
    """Consumes the queue of one type in batches. Each process does, for order does not matter."""

    prefetch, heartbeat = 1000, broker.BATCH_HEARTBEAT
    batch, batch_seconds = 500, 0.005
    kind = "batches"

    def __init__(self, url: str, service: str, batches: Batches) -> None:
        super().__init__(url, service, batches.inbox)
        self._batches = batches
        self._own = {topology.batch_queue(service, batches.kind.TYPE): self._collect}

    def _layout(self, connection: Connection) -> Layout:
        return topology.batch_layout(connection, self.service, self._batches.kind.TYPE)

    def _apply(self, connection: Connection, messages: Sequence[Any]) -> None:
        irregular = self._batches.receive(list(map(_delivery, messages)))
        failpoints.hit("batch.before_ack")
        if not irregular:
            messages[-1].channel.basic_ack(messages[-1].delivery_tag, multiple=True)
            return
        for position, message in enumerate(messages):
            if position not in irregular:
                message.channel.basic_ack(message.delivery_tag)
        for position in irregular:
            self._keep_alive(connection)
            self._process(messages[position])


def _delivery(message: Any) -> Delivery:
    return Delivery(_body(message), _user(message), bool(message.delivery_info["redelivered"]))


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
