"""What is plugged into billing."""

from collections.abc import Mapping
from pathlib import Path

from chassis import clock, here, web
from chassis.caller import Caller, Door, RemoteKeys, Verifier, parse_callers
from chassis.client import Wire
from chassis.service import Service
from chassis.sql import Database
from flask import Flask

from billing import actions, queries, views
from billing.config import Settings
from billing.guard import OPERATIONS
from billing.listeners import BATCHES, JOBS, LISTENERS


def create_app(settings: Settings, database: Database, wires: Mapping[str, Wire]) -> Flask:
    """The web role."""

    known: dict[str, str | None] = {}  # once an organization has a provider, it stays with it

    def look_up(organization_id: str) -> str | None:
        if organization_id in known:
            return known[organization_id]
        with database.reading() as session:
            provider_id = queries.provider_of(session, organization_id)
        if provider_id is not None:
            known[organization_id] = provider_id
        return provider_id

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
        "billing",
        title="Accounts and money",
        door=door,
        blueprints=views.BLUEPRINTS,
        ready={"database": database.check},
    )
    return here.attach(app, settings=settings, database=database, wires=wires)


SERVICE = Service(
    name="billing",
    settings=Settings,
    create_app=create_app,
    listeners=LISTENERS,
    jobs=JOBS,
    migrations=Path(__file__).parent / "migrations",
    neighbours={"membership": "membership_url"},
    batches=BATCHES,
)
