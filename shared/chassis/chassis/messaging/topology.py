"""What is declared at the broker for a service: its exchange, its inbox and its other queues.

The inbox is a consistent-hash exchange over several queues with a single active consumer each. The
hash is that of the aggregate, so that messages about one are in one queue, in order, and several
processes can share the queues. The number of queues is part of every name. To change it, new
queues are declared and bound before the old exchange is deleted; listeners first empty the old
queues, delete them, and only then consume the new ones.

No queue has a delivery limit: the inbox counts what fails.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from amqp.exceptions import NotFound
from kombu.connection import Connection

from chassis.messaging import broker
from chassis.runtime.readiness import NotReady
from chassis.runtime.settings import Misconfigured

SIZES = (1, 2, 4, 8, 16, 32, 64)
# The header of a message by which the inbox distributes it.
HASHED = "aggregate"
_LIMITS = {
    "x-queue-type": "quorum",
    "x-overflow": "reject-publish",
    "x-dead-letter-exchange": "dead",
    "x-dead-letter-strategy": "at-least-once",
    "x-max-length": 1_000_000,
    "x-max-length-bytes": 256 * 1024**2,
}


class NotDeclared(NotReady):
    """The service's queues are not declared, or just being declared."""


@dataclass(frozen=True)
class Layout:
    """The queues that consumers of a service share. ``old``: those of an earlier layout, which are
    to be emptied and deleted before the others are consumed. ``exchange``: exists as long as this
    is the layout."""

    exchange: str
    queues: tuple[str, ...] = ()
    old: tuple[str, ...] = ()


def declare(
    url: str,
    service: str,
    producers: Sequence[str],
    types: Sequence[str],
    batch_types: Sequence[str] = (),
    *,
    size: int = 8,
) -> None:
    """Declare what a service needs: its exchange, an inbox of ``size`` queues that gets the types
    it consumes, a queue for each type that it consumes in batches, and one for what the broker
    gives up. Repeating it changes nothing. Raises Misconfigured for a size that is not in
    ``SIZES``, or while the queues of another size are still being emptied."""
    if size not in SIZES:
        raise Misconfigured(f"the number of inbox queues must be one of {SIZES}, not {size}")
    with broker.connect(url, f"{service}-topology") as connection, connection.channel() as channel:
        for name in {service, *producers}:
            channel.exchange_declare(name, "topic", durable=True, auto_delete=False)
        channel.exchange_declare("dead", "direct", durable=True, auto_delete=False)
        _declare_queue(channel, f"{service}.dead", {"x-queue-type": "quorum"})
        channel.queue_bind(f"{service}.dead", "dead", service)
        _refuse_second_change(connection, service, size)
        changing = _changing(service, size)
        channel.exchange_declare(changing, "fanout", durable=True, auto_delete=False)
        _declare_inbox(channel, service, types, size)
        for type_ in batch_types:
            queue = batch_queue(service, type_)
            _declare_queue(channel, queue, _LIMITS | {"x-dead-letter-routing-key": service})
            channel.queue_bind(queue, _producer(type_), type_)
            _unbind(connection, old_batch_queue(service, type_), [type_])
        _unbind(connection, _single_inbox(service), types)
        for other in SIZES:
            if other != size:
                channel.exchange_delete(_inbox(service, other))
        channel.exchange_delete(changing)


def layout(connection: Connection, service: str) -> Layout:
    """The queues of the service's inbox. Raises NotDeclared."""
    current = _declared_sizes(connection, service)
    old = _old_queues(connection, service, current)
    # Looked at last, and the sizes again: a topology step may have begun meanwhile.
    if _size_in_progress(connection, service):
        raise NotDeclared(f"the queues of {service} are being declared; if that takes long, repeat")
    if len(current) != 1 or _declared_sizes(connection, service) != current:
        raise NotDeclared(f"the queues of {service} are not declared: run its command topology")
    return Layout(_inbox(service, current[0]), tuple(_queues(service, current[0])), tuple(old))


def is_current(channel: Any, known: Layout) -> bool:
    """Whether this still is the layout. If not, the channel is closed."""
    try:
        channel.exchange_declare(known.exchange, "", passive=True)
    except NotFound:
        return False
    return True


def is_free(channel: Any, queue: str) -> bool:
    """Whether nobody consumes the queue. A listener of an earlier version may still do: it is left
    to empty the queue, because one that waits behind it could not tell that it is done."""
    return bool(channel.queue_declare(queue, passive=True).consumer_count == 0)


def is_drained(channel: Any, queue: str, known: Layout) -> bool:
    """Whether an old queue, which the caller consumes and of which it holds no message, is empty
    and may be deleted: the first queue of a layout is deleted last."""
    layout_name = queue.removesuffix(".0")
    if queue != layout_name and any(
        other != queue and other.rpartition(".")[0] == layout_name for other in known.old
    ):
        return False
    return bool(channel.queue_declare(queue, passive=True).message_count == 0)


def delete_if_abandoned(channel: Any, queue: str) -> bool:
    """Delete an old queue that was drained, unless somebody consumes it or messages came back.
    Returns whether it was deleted."""
    state = channel.queue_declare(queue, passive=True)
    if (state.message_count, state.consumer_count) != (0, 0):
        return False
    channel.queue_delete(queue)
    return True


def batch_layout(connection: Connection, service: str, type_: str) -> Layout:
    """The queue from before batch queues had no delivery limit, if it is still there."""
    old = old_batch_queue(service, type_)
    return Layout(_producer(type_), old=(old,) if _queue_exists(connection, old) else ())


def batch_queue(service: str, type_: str) -> str:
    """The queue of a type that the service consumes in batches."""
    return f"{service}.batches.{_producer(type_)}"


def old_batch_queue(service: str, type_: str) -> str:
    """Its name when it had a delivery limit."""
    return f"{service}.{_producer(type_)}"


def _refuse_second_change(connection: Connection, service: str, size: int) -> None:
    """The old queues of one layout can be emptied in any order, those of two could not."""
    unfinished = _size_in_progress(connection, service)
    if unfinished not in (None, size):
        raise Misconfigured(f"a change to {unfinished} queues was interrupted; repeat it first")
    sizes = _declared_sizes(connection, service)
    old = _old_queues(connection, service, sizes)
    if sizes and size not in sizes and old:
        raise Misconfigured(f"listeners have to empty {', '.join(old)} first; repeat it then")


def _old_queues(connection: Connection, service: str, current: Sequence[int]) -> list[str]:
    """The queues of other layouts. The first queue of each is deleted last, so only where that is
    left there can be others."""
    old = []
    for size in SIZES:
        first, *others = _queues(service, size)
        if size not in current and _queue_exists(connection, first):
            old += [first, *(queue for queue in others if _queue_exists(connection, queue))]
    if _queue_exists(connection, _single_inbox(service)):
        old.append(_single_inbox(service))
    return old


def _declare_inbox(channel: Any, service: str, types: Sequence[str], size: int) -> None:
    exchange = _inbox(service, size)
    channel.exchange_declare(
        exchange,
        "x-consistent-hash",
        durable=True,
        auto_delete=False,
        arguments={"hash-header": HASHED},
    )
    # Sorted by name, as the broker sorts them when it starts: their order decides which is whose.
    for queue in sorted(_queues(service, size)):
        arguments = {"x-single-active-consumer": True, "x-dead-letter-routing-key": service}
        _declare_queue(channel, queue, _LIMITS | arguments)
        channel.queue_bind(queue, exchange, "1")  # its weight
    for type_ in types:
        channel.exchange_bind(exchange, _producer(type_), type_)


def _declare_queue(channel: Any, queue: str, arguments: dict[str, Any]) -> None:
    channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)


def _unbind(connection: Connection, queue: str, types: Sequence[str]) -> None:
    if not _queue_exists(connection, queue):
        return
    with connection.channel() as channel:
        for type_ in types:
            channel.queue_unbind(queue, _producer(type_), type_)


def _exchange_exists(connection: Connection, name: str) -> bool:
    return _succeeds(connection, lambda channel: channel.exchange_declare(name, "", passive=True))


def _queue_exists(connection: Connection, name: str) -> bool:
    return _succeeds(connection, lambda channel: channel.queue_declare(name, passive=True))


def _succeeds(connection: Connection, call: Callable[[Any], object]) -> bool:
    """Whether it does, on a channel of its own, because the broker closes one on which it does
    not. The client opens that one again, so it counts towards the broker's channel_max until it is
    closed here."""
    with connection.channel() as channel:
        try:
            call(channel)
        except NotFound:
            return False
    return True


def _inbox(service: str, size: int) -> str:
    return f"{service}.inbox.{size}"


def _queues(service: str, size: int) -> list[str]:
    return [f"{_inbox(service, size)}.{number}" for number in range(size)]


def _single_inbox(service: str) -> str:
    """The one queue that was the inbox at first."""
    return f"{service}.inbox"


def _changing(service: str, size: int) -> str:
    """An exchange that exists while an inbox of this size is being declared."""
    return f"{_inbox(service, size)}.changing"


def _declared_sizes(connection: Connection, service: str) -> list[int]:
    return [size for size in SIZES if _exchange_exists(connection, _inbox(service, size))]


def _size_in_progress(connection: Connection, service: str) -> int | None:
    return next(
        (size for size in SIZES if _exchange_exists(connection, _changing(service, size))), None
    )


def _producer(type_: str) -> str:
    return type_.partition(".")[0]
