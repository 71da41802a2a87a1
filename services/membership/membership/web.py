"""The web application."""

from collections.abc import Mapping

from chassis.db.database import Database
from chassis.http import application, context
from chassis.http.client import Transport
from flask import Flask

from membership import guard, views
from membership.config import Settings
from membership.values import passwords, signing


def create_app(
    settings: Settings, database: Database, transports: Mapping[str, Transport]
) -> Flask:
    """The web application."""
    signer = signing.Signer(settings.signing_key, settings.previous_signing_key)
    access = guard.access_control(database, signer, settings.internal_callers)
    app = application.build(
        "membership",
        title="Membership",
        access=access,
        blueprints=views.BLUEPRINTS,
    )
    # The other threads go on serving requests that need no hash.
    hashes = max(4, settings.web_threads * 3 // 4)
    app.extensions.update(signer=signer, hasher=passwords.Hasher(capacity=hashes))
    return context.attach(app, settings=settings, database=database, transports=transports)
