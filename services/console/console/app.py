"""What is plugged into the console."""

from collections.abc import Callable, Mapping
from pathlib import Path

from chassis import config, log, migrate, web
from chassis.client import HttpWire, LongWire
from chassis.server import WebServer
from chassis.sql import Database
from flask import Flask

from console import views
from console.config import Settings

MIGRATIONS = Path(__file__).parent / "migrations"


def create_app(settings: Settings, database: Database, gateway: LongWire) -> Flask:
    """The pages, asking this gateway."""
    app = web.application(
        "console", title="Console", door=None, blueprints=(), ready={"database": database.check}
    )
    app.extensions.update(settings=settings, database=database, gateway=gateway)
    views.plug(app)
    return app


def serve() -> None:
    """Run the web role until SIGTERM. Raises Misconfigured."""
    at = config.load(Settings)
    log.start(at.log_level, service="console", role="web")

    def build() -> Flask:
        return create_app(
            at, Database(at.database_url, pool_size=at.web_threads + 4), HttpWire(at.gateway_url)
        )

    WebServer(build, f"{at.host}:{at.port}", at.web_workers, at.web_threads).run()


def upgrade() -> None:
    """Bring the database up to date, as its owner."""
    migrate.upgrade(MIGRATIONS, config.read("DATABASE_URL"))


ROLES: Mapping[str, Callable[[], None]] = {"web": serve, "migrate": upgrade}
