"""What is plugged into the gateway."""

from collections.abc import Callable, Mapping

from chassis.auth.tokens import RemoteKeys, Verifier
from chassis.http import application
from chassis.http.client import InternalClient
from chassis.runtime import log
from chassis.runtime.settings import load
from chassis.runtime.web_server import WebServer
from flask import Flask

from gateway import views
from gateway.clients import Feed, HttpUpstream, Upstream
from gateway.config import Settings
from gateway.guard import Guard, Limits, Revocations
from gateway.views.forward import Forwarder
from gateway.views.openapi import Catalogue

FEEDS = ("membership", "org")


def create_app(settings: Settings, upstreams: Mapping[str, Upstream]) -> Flask:
    """The gateway before these services. It follows the feeds from its first request on, until
    ``close_app``."""
    internal_clients = {
        name: InternalClient(way, "gateway", settings.internal_secret)
        for name, way in upstreams.items()
        if name != "console"
    }
    revocations = Revocations()
    feeds = {
        name: Feed(
            internal_clients[name],
            revocations.learn,
            silence=settings.feed_silence_s,
            pause=settings.feed_poll_s,
        )
        for name in FEEDS
    }
    keys = RemoteKeys(
        lambda: upstreams["membership"].send("GET", "/.well-known/jwks.json", {}).json()
    )
    guard = Guard(Verifier(keys), revocations, [feed.check for feed in feeds.values()])
    limits = Limits(
        per_second=settings.rate_per_second,
        burst=settings.rate_burst,
        public=settings.public_rate,
        pages=settings.page_rate,
        proxies=settings.proxies,
    )
    ready: dict[str, Callable[[], None]] = {
        name: views.asks_ready(way) for name, way in upstreams.items()
    }
    ready |= {f"revocations of {name}": feed.check for name, feed in feeds.items()}
    app = application.build("gateway", title="Clientele", access=None, blueprints=(), ready=ready)
    views.add_openapi(app, Catalogue(internal_clients, settings.public_url))
    forwarder = Forwarder(
        app.wsgi_app,
        upstreams,
        guard,
        limits,
        feeds.values(),
        seats=max(1, settings.web_threads // 2),
    )
    app.extensions["forwarder"] = forwarder
    app.wsgi_app = forwarder  # type: ignore[method-assign]
    return app


def close_app(app: Flask) -> None:
    """End the threads that ``create_app``'s gateway has started."""
    app.extensions["forwarder"].close()


def network(settings: Settings) -> dict[str, Upstream]:
    """The services over the network: one for every ``*_url``."""
    urls = {
        "org": settings.org_url,
        "billing": settings.billing_url,
        "membership": settings.membership_url,
        "console": settings.console_url,
    }
    return {
        name: HttpUpstream(url, connections=settings.web_threads)
        for name, url in urls.items()
        if url
    }


def serve() -> None:
    """Run the web role until SIGTERM. Raises Misconfigured."""
    at = load(Settings)
    log.start(at.log_level, service="gateway", role="web")
    WebServer(
        lambda: create_app(at, network(at)), f"{at.host}:{at.port}", at.web_workers, at.web_threads
    ).run()
