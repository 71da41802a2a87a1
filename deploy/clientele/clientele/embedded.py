"""The embedded footing: one process hosts every service and its roles; no server, no broker, data
in one folder.

The code is the services' own. Only what carries between them is another: requests are calls, and a
message counts as sent once its hearers have committed.
"""

import dataclasses
import os
import secrets
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from billing.app import SERVICE as BILLING
from billing.config import Settings as BillingSettings
from chassis.db import migrations
from chassis.db.database import Database
from chassis.messaging.in_process import InProcessBus
from chassis.messaging.inbox import Inbox
from chassis.messaging.relay import Relay
from chassis.runtime import log, tick
from chassis.runtime.service import Service
from chassis.runtime.settings import Secret
from chassis.runtime.web_server import WebServer
from console.app import MIGRATIONS as CONSOLE_MIGRATIONS
from console.app import create_app as create_console
from console.config import Settings as ConsoleSettings
from gateway.app import create_app as create_gateway
from gateway.clients import InProcess
from gateway.config import Settings as GatewaySettings
from joserfc.jwk import OKPKey
from membership.app import SERVICE as MEMBERSHIP
from membership.app import add_provider as add_further_provider
from membership.app import bootstrap
from membership.config import Settings as MembershipSettings
from org.app import SERVICE as ORG
from org.config import Settings as OrgSettings

SERVICES: tuple[Service, ...] = (ORG, BILLING, MEMBERSHIP)
THREADS = 24
_NOWHERE = "in this process"


@dataclass(frozen=True)
class Place:
    """Where an embedded system lives. ``data``: its folder; everything it keeps is in there."""

    data: Path
    port: int

    @property
    def address(self) -> str:
        """The address to open."""
        return f"http://127.0.0.1:{self.port}"


def place() -> Place:
    """As CLIENTELE_DATA and CLIENTELE_PORT say, else ./var and 8080."""
    return Place(
        Path(os.environ.get("CLIENTELE_DATA", "var")).resolve(),
        int(os.environ.get("CLIENTELE_PORT", "8080")),
    )


def run(where: Place) -> None:
    """Prepare the folder, say how to begin, serve until stopped."""
    log.start(os.environ.get("LOG_LEVEL", "WARNING"), service="clientele", role="embedded")
    settings = prepare(where)
    _greet(where, settings)
    WebServer(lambda: build(where, settings), f"127.0.0.1:{where.port}", 1, THREADS).run()


def prepare(where: Place) -> dict[str, Any]:
    """Make secrets and databases up to date; the settings of every service."""
    for folder in (where.data, where.data / "mail", where.data / "secrets"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = _settings(where)
    for service in SERVICES:
        migrations.upgrade(service.migrations, settings[service.name].database_url)
    migrations.upgrade(CONSOLE_MIGRATIONS, settings["console"].database_url)
    return settings


def build(where: Place, settings: Mapping[str, Any]) -> Any:
    """Everything, in this process: the WSGI application of the gateway, with all other roles in
    threads behind it."""
    databases = {
        s.name: Database(settings[s.name].database_url, pool_size=THREADS + 8) for s in SERVICES
    }
    bus = InProcessBus({s.name: Inbox(databases[s.name], s.listeners) for s in SERVICES})
    stop = threading.Event()
    transports: dict[str, InProcess] = {}
    for service in SERVICES:
        app = service.create_app(settings[service.name], databases[service.name], transports)
        transports[service.name] = InProcess(app)
    for service in SERVICES:
        database = databases[service.name]
        relay = Relay(database, bus)
        database.on_publish.append(relay.wake)
        _start(f"{service.name}-relay", relay.run, stop)
        _start(f"{service.name}-tick", tick.run, service, database, settings[service.name], stop)
    gateway = create_gateway(settings["gateway"], transports)
    pages = Database(settings["console"].database_url, pool_size=THREADS + 8)
    transports["console"] = InProcess(
        create_console(settings["console"], pages, InProcess(gateway))
    )
    return gateway


def add_provider(where: Place, name: str, email: str) -> str:
    """A further provider in this place; its owner's login in words. Raises Conflict when the name
    is taken."""
    settings = dataclasses.replace(
        prepare(where)["membership"],
        clientele_provider_name=name,
        clientele_admin_email=email,
        clientele_admin_password=Secret(""),
    )
    database = Database(settings.database_url, pool_size=1)
    try:
        return add_further_provider(settings, database).sentence()
    finally:
        database.close()


def _start(name: str, target: Any, *args: Any) -> None:
    threading.Thread(target=target, args=args, name=name, daemon=True).start()


def _settings(where: Place) -> dict[str, Any]:
    names = ("org", "gateway")
    passwords = {
        name: Secret(_keep(where, f"{name}.secret", secrets.token_urlsafe(32))) for name in names
    }
    callers = ",".join(f"{name}={sha256(passwords[name].encode()).hexdigest()}" for name in names)
    mine: dict[str, Any] = {"internal_callers": callers, "web_threads": THREADS}

    def database(name: str) -> Secret:
        return Secret(f"sqlite:///{where.data / name}.db")

    chosen: dict[str, Any] = {
        name: os.environ[name.upper()] for name in _CHOSEN if name.upper() in os.environ
    }
    return {
        "org": OrgSettings(
            database_url=database("org"),
            internal_secret=passwords["org"],
            billing_url=_NOWHERE,
            membership_url=_NOWHERE,
            **mine,
        ),
        "billing": BillingSettings(
            database_url=database("billing"), membership_url=_NOWHERE, **mine
        ),
        "membership": MembershipSettings(
            database_url=database("membership"),
            signing_key=Secret(_keep(where, "signing_key.pem", _new_key())),
            pepper=Secret(_keep(where, "pepper", secrets.token_hex(32))),
            **({"mail_url": f"file://{where.data / 'mail'}", "public_url": where.address} | chosen),
            **mine,
        ),
        "gateway": GatewaySettings(
            org_url=_NOWHERE,
            billing_url=_NOWHERE,
            membership_url=_NOWHERE,
            internal_secret=passwords["gateway"],
            public_url=chosen.get("public_url", where.address),
            proxies="127.0.0.0/8",
            web_threads=2 * THREADS,  # what the console asks takes no thread of its own here
        ),
        "console": ConsoleSettings(
            database_url=database("console"),
            gateway_url=_NOWHERE,
            public_url=chosen.get("public_url", where.address),
            web_threads=THREADS,
        ),
    }


_CHOSEN = (
    "mail_url",
    "mail_from",
    "public_url",
    "clientele_admin_email",
    "clientele_admin_password",
    "clientele_provider_name",
)


def _keep(where: Place, name: str, fresh: str) -> str:
    """The secret in the folder, made the first time."""
    path = where.data / "secrets" / name
    if not path.exists():
        partial = path.with_suffix(".part")
        partial.write_text(fresh)
        partial.chmod(0o600)
        partial.replace(path)
    return path.read_text()


def _new_key() -> str:
    return OKPKey.generate_key("Ed25519").as_pem(private=True).decode()


def _greet(where: Place, settings: Mapping[str, Any]) -> None:
    database = Database(settings["membership"].database_url)
    login = bootstrap(settings["membership"], database)
    database.close()
    email = settings["membership"].clientele_admin_email
    if login is None:
        hint = "the one from before"
    else:
        email, hint = login.email, login.password or "the one in CLIENTELE_ADMIN_PASSWORD"
    print(  # noqa: T201 - this is what the command is for
        f"\n  Open           {where.address}\n"
        f"  sign in as     {email}\n"
        f"  password       {hint}\n"
        f"  mails are in   {where.data / 'mail'}\n\n"
        "  Example customers, from another terminal:  make demo BASE_URL=" + where.address + "\n"
        "  Stop with Ctrl-C; everything is kept.\n",
        file=sys.stdout,
        flush=True,
    )
