"""Every endpoint: declares who may call it, has a row in its table, is documented, and is routed
by the gateway."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from chassis.auth.access import public, requires
from chassis.auth.permissions import CUSTOMER, STAFF
from clientele import registry
from flask import Flask
from gateway.views.merging import merge
from gateway.views.routes import Routes
from openapi_spec_validator import validate

from tests.house import endpoints
from tests.house.endpoints import Endpoint
from tests.house.workspace import SERVICES, WITH_CONTRACT, WITH_DATA, Project, listed

ROUTES = Routes.load(registry.FILE)

# These are called without a token. Adding a line is a decision, not a convenience.
PUBLIC: dict[str, set[str]] = {
    "org": set(),
    "billing": set(),
    "membership": {
        "POST /v1/sessions",
        "POST /v1/sessions/refresh",
        "GET /v1/verifications/<token>",
        "POST /v1/verifications/<token>",
        "POST /v1/verifications/<token>/renewal",
        "POST /v1/password-resets",
        "GET /v1/password-resets/<token>",
        "POST /v1/password-resets/<token>",
        "GET /v1/mfa-resets/<token>",
        "POST /v1/mfa-resets/<token>",
        "GET /.well-known/jwks.json",
    },
    "gateway": set(),
}


@pytest.fixture(scope="module", params=WITH_CONTRACT, ids=lambda service: service.name)
def service(request: pytest.FixtureRequest) -> Project:
    project: Project = request.param
    return project


@pytest.fixture(scope="module")
def app(service: Project, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return endpoints.build(service, tmp_path_factory.mktemp(service.name))


@pytest.fixture(scope="module")
def all_endpoints(app: Flask) -> list[Endpoint]:
    return list(endpoints.endpoints_of(app))


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    described: dict[str, Any] = app.extensions["openapi"]()
    return described


def test_every_endpoint_declares_who_may_call_it(all_endpoints: list[Endpoint]) -> None:
    assert not (broken := endpoints.unguarded(all_endpoints)), listed(broken)


def test_public_endpoints_are_on_the_list(service: Project, all_endpoints: list[Endpoint]) -> None:
    open_ = {
        f"{c.method} {c.path}"
        for c in all_endpoints
        if c.operation == "public" and c.path not in endpoints.OF_EVERY_SERVICE
    }

    assert open_ - PUBLIC.get(service.name, set()) == set(), "not on the list"
    assert PUBLIC.get(service.name, set()) - open_ == set(), "on the list, but not public"


def test_internal_endpoints_are_recognized_by_their_path(all_endpoints: list[Endpoint]) -> None:
    broken = [
        c for c in all_endpoints if (c.operation == "internal") != c.path.startswith("/internal/")
    ]

    assert not broken, listed(broken)


def rows_of(service: Project) -> dict[str, Any]:
    """The service's table of operations; the gateway has none."""
    operations = getattr(import_module(f"{service.name}.guard"), "OPERATIONS", None)
    return operations.rows if operations else {}


def test_each_operation_has_a_row_and_each_row_an_endpoint(
    service: Project, all_endpoints: list[Endpoint]
) -> None:
    table = rows_of(service)
    rowless, unused = endpoints.differences(
        all_endpoints, set(table), endpoints.permitted(service.package)
    )

    assert rowless == set(), "required by an endpoint, not in the table"
    assert unused == set(), "in the table, required by no endpoint"


def test_every_row_permits_somebody(service: Project) -> None:
    table = rows_of(service)
    people = {f"provider:{role}" for role in STAFF} | {f"customer:{role}" for role in CUSTOMER}

    reach = {
        name: {who for who in people if row.marks[who] != "-"} | set(row.scopes)
        for name, row in table.items()
    }

    assert [operation for operation, who in reach.items() if not who] == []


def test_every_endpoint_is_documented(
    all_endpoints: list[Endpoint], document: dict[str, Any]
) -> None:
    assert not (broken := endpoints.undocumented(all_endpoints, document)), listed(broken)


def test_the_document_is_valid_and_describes_every_endpoint(document: dict[str, Any]) -> None:
    validate(document)
    undescribed = [
        f"{method} {path}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, dict)
        and not (operation.get("summary") or operation.get("description"))
    ]

    assert not undescribed, listed(undescribed)


def test_the_gateway_routes_each_endpoint_to_its_service_and_opens_the_public_ones(
    service: Project, all_endpoints: list[Endpoint]
) -> None:
    outward = [
        c
        for c in all_endpoints
        if c.path not in endpoints.OF_EVERY_SERVICE and c.operation != "internal"
    ]
    routed = [(c, ROUTES.find(c.example)) for c in outward if service in WITH_DATA]
    misrouted = [c for c, route in routed if route is None or route.service != service.name]
    inconsistent = [
        c
        for c, route in routed
        if route and route.is_open(c.method, c.example) != (c.operation == "public")
    ]

    assert not misrouted, f"not routed to {service.name}: {listed(misrouted)}"
    assert not inconsistent, f"public in the service or the gateway only: {listed(inconsistent)}"


def test_the_merged_document_is_valid_and_contains_nothing_internal(tmp_path: Path) -> None:
    apps = {
        service.name: endpoints.build(service, tmp_path)
        for service in WITH_CONTRACT
        if service in WITH_DATA
    }
    whole = merge(
        {name: app.extensions["openapi"]() for name, app in apps.items()},
        ROUTES,
        "http://nowhere",
    )
    everything = [endpoint for app in apps.values() for endpoint in endpoints.endpoints_of(app)]
    validate(whole)

    assert not (broken := endpoints.undocumented(everything, whole)), listed(broken)
    assert not (broken := [path for path in whole["paths"] if path.startswith("/internal/")]), (
        listed(broken)
    )


def test_the_gateway_routes_nothing_internal(all_endpoints: list[Endpoint]) -> None:
    assert [c for c in all_endpoints if c.operation == "internal" and ROUTES.find(c.example)] == []


# ---- each rule finds a planted violation


def a_service() -> Flask:
    app = Flask("planted", static_folder=None)
    app.add_url_rule("/v1/forgotten", "forgotten", lambda: "", methods=["POST"])
    app.add_url_rule(
        "/v1/things/<int:thing_id>", "things", requires("thing.read")(lambda thing_id: "")
    )
    app.add_url_rule("/v1/open", "open", public(lambda: ""))
    return app


def test_an_endpoint_without_a_declaration_is_found() -> None:
    assert endpoints.unguarded(list(endpoints.endpoints_of(a_service()))) == [
        Endpoint("POST", "/v1/forgotten", None)
    ]


def test_a_missing_and_an_unused_row_are_found() -> None:
    assert endpoints.differences(
        list(endpoints.endpoints_of(a_service())), {"thing.write", "thing.mend"}, {"thing.mend"}
    ) == ({"thing.read"}, {"thing.write"})


def test_an_undocumented_endpoint_is_found() -> None:
    document: dict[str, Any] = {
        "paths": {"/v1/open": {"get": {}}, "/v1/things/{thing_id}": {"get": {}}}
    }

    assert endpoints.undocumented(list(endpoints.endpoints_of(a_service())), document) == [
        Endpoint("POST", "/v1/forgotten", None)
    ]


def test_settings_are_stubbed_without_touching_the_environment(tmp_path: Path) -> None:
    for service in SERVICES:
        endpoints.stub(import_module(f"{service.name}.config").Settings, tmp_path)
