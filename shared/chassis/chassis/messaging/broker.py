"""The connection to RabbitMQ through kombu. With `topology`, `publisher` and `consumers` the only
modules that know the broker."""

import random
import socket
import ssl
from urllib.parse import parse_qs, urlsplit

import kombu.compression
from kombu.connection import Connection
from kombu.exceptions import OperationalError

# Seconds. The broker drops who is silent for two of them. A message takes less, for the database
# ends what takes longer; a batch may not.
HEARTBEAT, BATCH_HEARTBEAT = 5, 30

# Bytes. The driver asks the operating system for each part of a frame, nine times a message.
_READ_AHEAD = 4 * 1024

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


def read_ahead(connection: Connection) -> None:
    """Let the connection read all that has come at once, for who consumes many messages."""
    transport = connection.connection.transport
    receive = transport._quick_recv
    transport._quick_recv = lambda size: receive(max(size, _READ_AHEAD))
