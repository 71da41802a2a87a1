"""What the gateway is made of."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from chassis.auth.tokens import RemoteKeys, Verifier
from chassis.http import application, networks
from chassis.http.client import InternalClient
from chassis.runtime import log
from chassis.runtime.settings import load, read
from flask import Flask

from gateway import views
from gateway.clients import HttpUpstream, Upstream
from gateway.config import Settings, settings_with_urls
from gateway.guard import AddressMonitor, Capacity, Guard, Limits, follow
from gateway.views.forward import Forwarder
from gateway.views.openapi import Catalog
from gateway.views.routes import Routes


def create_app(
    settings: Settings,
    upstreams: Mapping[str, Upstream],
    others: Mapping[str, Callable[[], None]] | None = None,
    downloads: Mapping[str, Upstream] | None = None,
) -> Flask:
    """The gateway in front of these services. From its first request or check until ``close_app``
    it follows the feeds of revocations. ``others``: what ``/readyz`` also reports, without
    counting it; ``downloads``: where streams, CSV and PDF of a service come from, if not from where
    the rest does."""
    table = Routes.load(Path(settings.registry))
    internal_clients = {
        name: InternalClient(upstream, "gateway", settings.internal_secret)
        for name, upstream in upstreams.items()
    }
    revocations, feeds = follow(internal_clients, settings)
    keys = RemoteKeys(
        lambda: upstreams["membership"].send("GET", "/.well-known/jwks.json", {}).json()
    )
    guard = Guard(Verifier(keys), revocations, feeds)
    app = application.build(
        "gateway",
        title="Clientele",
        access=None,
        blueprints=(),
        ready={f"revocations of {feed.name}": views.feed_check(feed) for feed in feeds},
        behind={name: views.ready_check(upstream) for name, upstream in upstreams.items()},
        others=others or {},
        ready_for=settings.readiness_s,
    )
    views.add_openapi(app, Catalog(table, internal_clients, settings.public_url))
    forwarder = Forwarder(
        app.wsgi_app,
        table,
        upstreams,
        downloads or {},
        guard,
        Limits.of(settings),
        Capacity.of(settings),
        feeds,
        monitor=AddressMonitor(),
        trusted_proxies=networks.parse(settings.trusted_proxies),
    )
    app.extensions["forwarder"] = forwarder
    app.wsgi_app = forwarder  # type: ignore[method-assign]
    return app


def close_app(app: Flask) -> None:
    """End the threads that the gateway has started."""
    app.extensions["forwarder"].close()


def serve() -> None:
    """Run the web role until SIGTERM. Raises Misconfigured."""
    from chassis.runtime import web_server  # gunicorn; only this role uses it

    table = Routes.load(Path(read("REGISTRY")))
    settings: Any = load(settings_with_urls(table.services))
    log.start(settings.log_level, service="gateway", role="web")

    def build() -> Flask:
        upstream = partial(HttpUpstream, authorities=settings.tls_authorities)
        upstreams = {
            name: upstream(getattr(settings, f"{name}_url"), connections=settings.web_threads)
            for name in table.services
        }
        downloads = {
            name: upstream(url, connections=settings.downloads)
            for name in table.services
            if (url := getattr(settings, f"{name}_downloads_url"))
        }
        return create_app(settings, upstreams, downloads=downloads)

    web_server.serve(build, settings)
