"""The console application and its process roles."""

from collections.abc import Callable, Mapping
from pathlib import Path

from chassis.db import schema
from chassis.db.database import Database
from chassis.http import application, networks
from chassis.http.client import StreamingTransport
from chassis.runtime import log
from chassis.runtime.readiness import kept
from chassis.runtime.settings import load, read_secret
from flask import Flask

from console import views
from console.config import Settings
from console.guard.capacity import Capacity

MIGRATIONS = Path(__file__).parent / "migrations"


def create_app(settings: Settings, database: Database, gateway: StreamingTransport) -> Flask:
    """The pages, as a client of this gateway."""
    ready = {
        "database": kept(database.check, 10),
        "schema": kept(schema.check(database, MIGRATIONS, shared=False), 60),
    }
    app = application.build("console", title="Console", access=None, blueprints=(), ready=ready)
    app.extensions.update(
        settings=settings,
        database=database,
        gateway=gateway,
        capacity=Capacity.of(settings),
        trusted_proxies=networks.parse(settings.trusted_proxies),
    )
    views.register(app)
    return app


def serve() -> None:
    """Run the web role until SIGTERM. Raises Misconfigured."""
    # Both take long to import; only this role uses them.
    from chassis.http.transport import HttpTransport
    from chassis.runtime import web_server

    at = load(Settings)
    log.start(at.log_level, service="console", role="web")

    def build() -> Flask:
        return create_app(
            at,
            Database(at.database_url, pool_size=at.web_threads + 4),
            HttpTransport(at.gateway_url, authorities=at.tls_authorities),
        )

    web_server.serve(build, at)


def upgrade() -> None:
    """Upgrade the database schema, as its owner."""
    from chassis.db import migrations  # Alembic takes long to import; only this role uses it

    migrations.upgrade(MIGRATIONS, read_secret("DATABASE_URL"), shared=False)


ROLES: Mapping[str, Callable[[], None]] = {"web": serve, "migrate": upgrade}
