"""The public door: which path belongs to which service, forwarding, and the few answers of the
gateway itself."""

from collections.abc import Callable

from chassis.auth.access import public
from chassis.errors import Unavailable
from chassis.http.responses import json_response
from flask import Flask, Response

from gateway.clients import Upstream
from gateway.views.openapi import Catalogue


def asks_ready(upstream: Upstream) -> Callable[[], None]:
    """A check for ``/readyz``: raises Unavailable where the service is not ready."""

    def check() -> None:
        if upstream.send("GET", "/readyz", {}).status != 200:
            raise Unavailable()

    return check


def add_openapi(app: Flask, catalogue: Catalogue) -> None:
    """``/v1/openapi.json``."""

    def openapi() -> Response:
        answer = json_response(catalogue.document())
        answer.headers["Cache-Control"] = "public, max-age=60"
        return answer

    app.add_url_rule("/v1/openapi.json", view_func=public(openapi), endpoint="public_openapi")
