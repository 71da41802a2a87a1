"""Org's web application."""

from collections.abc import Mapping

from chassis.auth.access import AccessControl
from chassis.auth.callers import Caller
from chassis.auth.internal import parse_callers
from chassis.auth.tokens import RemoteKeys, Verifier
from chassis.db.database import Database
from chassis.http import application, context
from chassis.http.client import Transport
from chassis.runtime import clock
from flask import Flask

from org import actions, queries, views
from org.config import Settings
from org.guard import OPERATIONS


def create_app(
    settings: Settings, database: Database, transports: Mapping[str, Transport]
) -> Flask:
    """The web application."""

    def provider_of(organization_id: str) -> str | None:
        with database.reading() as session:
            return queries.provider_of(session, organization_id)

    def record_denial(caller: Caller, operation: str, organization_id: str) -> None:
        with context.transaction() as session:
            actions.record_denial(
                session,
                organization_id=organization_id,
                operation=operation,
                by=caller.actor(),
                now=clock.now(),
            )

    access = AccessControl(
        operations=OPERATIONS,
        verifier=Verifier(
            RemoteKeys(
                lambda: transports["membership"].send("GET", "/.well-known/jwks.json", {}).json()
            )
        ),
        provider_of=provider_of,
        internal_callers=parse_callers(settings.internal_callers),
        denied=record_denial,
    )
    app = application.build(
        "org",
        title="Organizations",
        access=access,
        blueprints=views.BLUEPRINTS,
    )
    return context.attach(app, settings=settings, database=database, transports=transports)
