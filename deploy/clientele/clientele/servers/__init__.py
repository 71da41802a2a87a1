"""Private instances of PostgreSQL and RabbitMQ, started from what is installed on this machine."""

from clientele.servers.installation import ServerMissing
from clientele.servers.postgres import Postgres, ServiceDatabase
from clientele.servers.processes import DidNotStart
from clientele.servers.rabbitmq import RabbitMQ

__all__ = ["DidNotStart", "Postgres", "RabbitMQ", "ServerMissing", "ServiceDatabase"]
