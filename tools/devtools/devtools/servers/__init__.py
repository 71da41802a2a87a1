"""Private instances of PostgreSQL, PgBouncer and RabbitMQ, from what is installed here."""

from devtools.servers.cluster import RabbitMQCluster
from devtools.servers.installation import ServerMissing
from devtools.servers.pgbouncer import PgBouncer
from devtools.servers.postgres import Postgres, ServiceDatabase
from devtools.servers.processes import DidNotStart
from devtools.servers.rabbitmq import RabbitMQ
from devtools.servers.replication import ReplicatedPostgres

__all__ = [
    "DidNotStart",
    "PgBouncer",
    "Postgres",
    "RabbitMQ",
    "RabbitMQCluster",
    "ReplicatedPostgres",
    "ServerMissing",
    "ServiceDatabase",
]
