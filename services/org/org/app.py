"""What is plugged into org."""

from collections.abc import Mapping
from pathlib import Path

from chassis import clock, here, web
from chassis.caller import Caller, Door, RemoteKeys, Verifier, parse_callers
from chassis.client import Wire
from chassis.service import Service
from chassis.sql import Database
from flask import Flask

from org import actions, queries, views
from org.config import Settings
from org.guard import OPERATIONS
from org.listeners import JOBS, LISTENERS


def create_app(settings: Settings, database: Database, wires: Mapping[str, Wire]) -> Flask:
    """The web role."""

    def look_up(organization_id: str) -> str | None:
        with database.reading() as session:
            return queries.provider_of(session, organization_id)

    def denied(caller: Caller, operation: str, organization_id: str) -> None:
        with database.transaction(correlation=web.request_id()) as session:
            actions.record_denial(
                session,
                organization_id=organization_id,
                operation=operation,
                by=caller.actor(),
                now=clock.now(),
            )

    door = Door(
        operations=OPERATIONS,
        verifier=Verifier(
            RemoteKeys(lambda: wires["membership"].send("GET", "/.well-known/jwks.json", {}).json())
        ),
        provider_of=look_up,
        internal_callers=parse_callers(settings.internal_callers),
        denied=denied,
    )
    app = web.application(
        "org",
        title="Organizations",
        door=door,
        blueprints=views.BLUEPRINTS,
        ready={"database": database.check},
    )
    return here.attach(app, settings=settings, database=database, wires=wires)


SERVICE = Service(
    name="org",
    settings=Settings,
    create_app=create_app,
    listeners=LISTENERS,
    jobs=JOBS,
    migrations=Path(__file__).parent / "migrations",
    neighbours={"billing": "billing_url", "membership": "membership_url"},
)
