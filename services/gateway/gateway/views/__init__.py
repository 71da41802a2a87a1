"""Forwarding, and the few responses of the gateway itself."""

from collections.abc import Callable

from chassis.auth.access import public
from chassis.errors import Unavailable
from flask import Flask, Response

from gateway.clients import Feed, Upstream
from gateway.views.openapi import Catalog


def ready_check(upstream: Upstream) -> Callable[[], None]:
    """A check for ``/readyz`` that raises Unavailable while the service is not ready."""

    def check() -> None:
        status = upstream.send("GET", "/readyz", {}).status
        if status != 200:
            raise Unavailable(f"Not ready: {status}.", code="service_unavailable")

    return check


def feed_check(feed: Feed) -> Callable[[], None]:
    """A check that raises Unavailable while the feed is stale. It may come before any request, and
    then has the feed followed."""

    def check() -> None:
        feed.start()
        feed.check()

    return check


def add_openapi(app: Flask, catalog: Catalog) -> None:
    """Serve ``/v1/openapi.json``."""

    def openapi() -> Response:
        response = Response(catalog.document(), content_type="application/json")
        response.headers["Cache-Control"] = "public, max-age=60"
        return response

    app.add_url_rule("/v1/openapi.json", view_func=public(openapi), endpoint="public_openapi")
