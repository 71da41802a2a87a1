"""The connection to RabbitMQ through kombu, and what is declared there. With `publisher` and
`consumers` the only modules that know the broker."""

import random
import socket
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kombu.compression
from kombu.connection import Connection
from kombu.exceptions import OperationalError

# Seconds. The broker drops who is silent for two of them. A message takes less, for the database
# ends what takes longer; a batch may not.
HEARTBEAT, BATCH_HEARTBEAT = 5, 30

# kombu would decompress a message before its size can be checked. We send and accept none.
kombu.compression._decoders.clear()


def connect(url: str, role: str, *, heartbeat: int = 0) -> Connection:
    """An open connection. ``heartbeat``: seconds, for who calls ``heartbeat_check`` all the time;
    0 for none. ``url``: one or more nodes, separated by ``;``. With ``amqps`` the node
    must prove its name by a certificate, of an authority in the file ``cacertfile`` of the query,
    or one that this machine trusts. Raises within a few seconds if none responds."""
    nodes = url.split(";")
    random.shuffle(nodes)
    for node in nodes[1:]:
        try:
            return _connect(node, role, heartbeat)
        except OperationalError:
            continue
    return _connect(nodes[0], role, heartbeat)


def _connect(node: str, role: str, heartbeat: int) -> Connection:
    parts = urlsplit(node)
    authorities = parse_qs(parts.query).get("cacertfile", [None])[0]
    verified = {
        "cert_reqs": ssl.CERT_REQUIRED,
        "ca_certs": authorities,
        "server_hostname": parts.hostname,
    }
    connection = Connection(
        node.partition("?")[0],
        ssl=verified if parts.scheme == "amqps" else False,
        heartbeat=heartbeat,
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
            _declare_queue(channel, service, batch_queue(service, type_), [type_], ordered=False)


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


def batch_queue(service: str, type_: str) -> str:
    """The queue of a type that the service consumes in batches."""
    return f"{service}.{_producer(type_)}"


def _producer(type_: str) -> str:
    return type_.partition(".")[0]
