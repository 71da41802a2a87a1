"""Private instances of PostgreSQL and RabbitMQ, started from what is installed on this machine."""

from devtools.servers.installation import ServerMissing
from devtools.servers.postgres import Postgres, ServiceDatabase
from devtools.servers.processes import DidNotStart
from devtools.servers.rabbitmq import RabbitMQ

__all__ = ["DidNotStart", "Postgres", "RabbitMQ", "ServerMissing", "ServiceDatabase"]
