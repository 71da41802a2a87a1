"""Billing's web application."""

from collections.abc import Mapping, Sequence

from chassis.auth.access import AccessControl
from chassis.auth.callers import Caller
from chassis.auth.internal import parse_callers
from chassis.auth.tokens import RemoteKeys, Verifier
from chassis.db.database import Database, Session
from chassis.db.direct import Direct
from chassis.db.idempotency_keys import Answer
from chassis.db.stored_answers import Request
from chassis.http import application, context, idempotency
from chassis.http.client import Transport
from chassis.runtime import clock
from flask import Flask

from billing import actions, queries, views
from billing.config import Settings
from billing.guard import OPERATIONS
from billing.views.pdf import renderer


def create_app(
    settings: Settings, database: Database, transports: Mapping[str, Transport]
) -> Flask:
    """The web role."""

    # A customer never changes its provider.
    known: dict[str, str] = {}

    def provider_of(organization_id: str) -> str | None:
        if organization_id in known:
            return known[organization_id]
        with database.reading() as session:
            provider_id = queries.provider_of(session, organization_id)
        if provider_id is not None:
            known[organization_id] = provider_id
        return provider_id

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
        "billing",
        title="Accounts and money",
        access=access,
        blueprints=views.BLUEPRINTS,
    )
    idempotency.attach(app, database, _post_group)
    app.extensions["renderings"] = renderer.slots(settings.web_threads)
    return context.attach(app, settings=settings, database=database, transports=transports)


def _post_group(change: Session | Direct, requests: Sequence[Request]) -> Sequence[Answer | None]:
    return actions.post_group(change, requests, now=clock.now())
