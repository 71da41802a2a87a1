"""The reference: how fast kombu alone consumes the same bodies from a queue of the same type."""

import time
from typing import Any

import amqp
from chassis.messaging import broker
from chassis.messaging.publisher import CONTENT_TYPE

from tests.bench.messages.environment import Environment
from tests.bench.messages.listeners import Result, cpu_times

QUEUE = "bench"
_WINDOW = 1000


def consume(environment: Environment, bodies: list[bytes], batch: int) -> Result:
    """Consume all bodies and acknowledge each, or that many at once."""
    connection = broker.connect(environment.rabbitmq.url(), "bench")
    try:
        _fill(connection, bodies)
        channel, seen, began = connection.channel(), 0, 0.0
        channel.auto_decode = False
        channel.basic_qos(0, 2 * batch if batch > 1 else 20, False)

        def receive(message: Any) -> None:
            nonlocal seen
            seen += 1
            if seen % batch == 0 or seen == len(bodies):
                channel.basic_ack(message.delivery_tag, multiple=batch > 1)

        used, began = _cpu(environment), time.monotonic()
        channel.basic_consume(QUEUE, callback=receive)
        while seen < len(bodies):
            connection.drain_events(timeout=60)
        elapsed = time.monotonic() - began
        cpu = {name: (now - used[name]) / elapsed for name, now in _cpu(environment).items()}
        return Result(len(bodies) / elapsed, cpu, len(bodies), elapsed)
    finally:
        connection.collect()


def _cpu(environment: Environment) -> dict[str, float]:
    return {**cpu_times(environment, []), "listeners": time.process_time()}


def _fill(connection: Any, bodies: list[bytes]) -> None:
    channel = connection.channel()
    arguments = {"x-queue-type": "quorum"}
    channel.queue_declare(QUEUE, durable=True, auto_delete=False, arguments=arguments)
    channel.queue_purge(QUEUE)
    channel.confirm_select()
    unconfirmed: set[int] = set()

    def confirmed(tag: int, multiple: bool) -> None:
        done = {t for t in unconfirmed if t <= tag} if multiple else {tag}
        unconfirmed.difference_update(done)

    channel.events["basic_ack"].add(confirmed)
    for tag, body in enumerate(bodies, 1):
        unconfirmed.add(tag)
        message = amqp.Message(body, content_type=CONTENT_TYPE, delivery_mode=2)
        channel.basic_publish(message, exchange="", routing_key=QUEUE)
        while len(unconfirmed) >= _WINDOW:
            connection.drain_events(timeout=60)
    while unconfirmed:
        connection.drain_events(timeout=60)
    channel.close()
