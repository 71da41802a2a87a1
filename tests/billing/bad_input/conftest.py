"""Invalid input for every endpoint of billing: a clear refusal, and no stored byte changes.

The routes are read from the application, the fields from their schemas. A route without a sample
fails here, and so does a field without a sample or of a kind without invalid values.
"""

from collections.abc import Callable, Iterable
from typing import Any

import marshmallow as ma
import pytest

from tests.billing.bad_input.samples import Books, Route
from tests.billing.conftest import World


@pytest.fixture
def books(world: World) -> Books:
    return Books(world)


@pytest.fixture
def routes(world: World) -> list[Route]:
    """Every documented route of billing, read from the application."""
    app: Any = world.client.application
    routes = []
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/v1/"):
            continue
        about = (
            getattr(app.view_functions[rule.endpoint], "_apidoc", {})
            .get("arguments", {})
            .get("parameters", [])
        )
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            view = app.view_functions[rule.endpoint]
            if hasattr(view, "view_class"):
                about = getattr(view.view_class, method.lower())._apidoc
            takes = {
                part["in"]: part["schema"]
                for part in about
                if isinstance(part.get("schema"), ma.Schema)
            }
            routes.append(Route(method, rule.rule, takes))
    return routes


@pytest.fixture
def changing(routes: list[Route]) -> list[Route]:
    """The routes that change something."""
    return [route for route in routes if route.method != "GET"]


@pytest.fixture
def unchanged(books: Books) -> Callable[[Route, Iterable[tuple[Any, Any, Any]]], None]:
    """Assert that each response is a problem with an expected status, and that no row changes."""

    def check(route: Route, tried: Iterable[tuple[Any, Any, Any]]) -> None:
        before = books.written()
        for what, response, expected in tried:
            wanted, pointer = expected if isinstance(expected, tuple) else (expected, None)
            body = response.get_data()[:500]
            summary = f"{route.name}: {str(what)[:200]} -> {response.status_code} {body!r}"
            assert response.status_code == wanted, summary
            assert response.content_type == "application/problem+json" and response.json["code"], (
                summary
            )
            if pointer:
                assert [error["pointer"] for error in response.json["errors"]] == [pointer], summary
        assert books.written() == before, route.name

    return check
