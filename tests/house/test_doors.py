"""Every route of every service: guarded by a row of its table, documented, routed by the gateway as
it is guarded."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from chassis.auth.access import public, requires
from chassis.auth.permissions import CUSTOMER, STAFF
from flask import Flask
from gateway.views import routes
from gateway.views.openapi import merge
from openapi_spec_validator import validate

from tests.house import doors
from tests.house.doors import Call
from tests.house.places import SERVICES, WITH_CONTRACT, WITH_DATA, Project, listed

# Whoever asks these has no token yet, or none any more. Adding a line is a decision, not a
# convenience.
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
        "GET /.well-known/jwks.json",
    },
    "gateway": set(),
}


@pytest.fixture(scope="module", params=WITH_CONTRACT, ids=lambda service: service.name)
def service(request: pytest.FixtureRequest) -> Project:
    found: Project = request.param
    return found


@pytest.fixture(scope="module")
def app(service: Project, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return doors.build(service, tmp_path_factory.mktemp(service.name))


@pytest.fixture(scope="module")
def found(app: Flask) -> list[Call]:
    return list(doors.calls(app))


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    described: dict[str, Any] = app.extensions["openapi"].spec.to_dict()
    return described


def test_every_route_is_guarded(found: list[Call]) -> None:
    assert not (broken := doors.unguarded(found)), listed(broken)


def test_what_is_public_is_on_the_short_list(service: Project, found: list[Call]) -> None:
    open_ = {
        f"{c.method} {c.path}"
        for c in found
        if c.operation == "public" and c.path not in doors.OF_EVERY_SERVICE
    }

    assert open_ - PUBLIC[service.name] == set(), "not on the list"
    assert PUBLIC[service.name] - open_ == set(), "on the list for nothing"


def test_internal_routes_are_told_by_their_path(found: list[Call]) -> None:
    broken = [c for c in found if (c.operation == "internal") != c.path.startswith("/internal/")]

    assert not broken, listed(broken)


def test_the_table_has_a_row_for_each_operation_and_no_row_for_none(
    service: Project, found: list[Call]
) -> None:
    table = import_module(f"{service.name}.guard").OPERATIONS.rows if service in WITH_DATA else {}
    rowless, unused = doors.differences(found, set(table), doors.permitted(service.package))

    assert rowless == set(), "used by a route, not in the table"
    assert unused == set(), "in the table, used by no route"


def test_every_row_lets_somebody_in(service: Project) -> None:
    table = import_module(f"{service.name}.guard").OPERATIONS.rows if service in WITH_DATA else {}
    people = {f"provider:{role}" for role in STAFF} | {f"customer:{role}" for role in CUSTOMER}

    reach = {
        name: {who for who in people if row.marks[who] != "-"} | set(row.scopes)
        for name, row in table.items()
    }

    assert [operation for operation, who in reach.items() if not who] == []


def test_every_route_is_documented(found: list[Call], document: dict[str, Any]) -> None:
    assert not (broken := doors.undocumented(found, document)), listed(broken)


def test_the_document_is_valid_and_says_what_each_call_does(document: dict[str, Any]) -> None:
    validate(document)
    silent = [
        f"{method} {path}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, dict)
        and not (operation.get("summary") or operation.get("description"))
    ]

    assert not silent, listed(silent)


def test_the_gateway_routes_each_call_to_its_service_and_opens_what_is_public(
    service: Project, found: list[Call]
) -> None:
    outward = [
        c for c in found if c.path not in doors.OF_EVERY_SERVICE and c.operation != "internal"
    ]
    ways = [(c, routes.find(c.example)) for c in outward if service in WITH_DATA]
    astray = [c for c, route in ways if route is None or route.service != service.name]
    ajar = [
        c
        for c, route in ways
        if route and route.is_open(c.method, c.example) != (c.operation == "public")
    ]

    assert not astray, f"not routed to {service.name}: {listed(astray)}"
    assert not ajar, f"open in one place only: {listed(ajar)}"


def test_what_the_gateway_tells_is_valid_and_leaves_out_what_is_internal(tmp_path: Path) -> None:
    apps = {
        service.name: doors.build(service, tmp_path)
        for service in WITH_CONTRACT
        if service in WITH_DATA
    }
    whole = merge(
        {name: app.extensions["openapi"].spec.to_dict() for name, app in apps.items()},
        "http://nowhere",
    )
    everything = [call for app in apps.values() for call in doors.calls(app)]
    validate(whole)

    assert not (broken := doors.undocumented(everything, whole)), listed(broken)
    assert not (broken := [path for path in whole["paths"] if path.startswith("/internal/")]), (
        listed(broken)
    )


def test_the_gateway_routes_nothing_internal(found: list[Call]) -> None:
    assert [c for c in found if c.operation == "internal" and routes.find(c.example)] == []


# ---- each rule bites
# ------------------------------------------------------------------------------------------------


def a_service() -> Flask:
    app = Flask("planted", static_folder=None)
    app.add_url_rule("/v1/forgotten", "forgotten", lambda: "", methods=["POST"])
    app.add_url_rule(
        "/v1/things/<int:thing_id>", "things", requires("thing.read")(lambda thing_id: "")
    )
    app.add_url_rule("/v1/open", "open", public(lambda: ""))
    return app


def test_a_forgotten_guard_is_noticed() -> None:
    assert doors.unguarded(list(doors.calls(a_service()))) == [Call("POST", "/v1/forgotten", None)]


def test_a_missing_and_an_idle_row_are_noticed() -> None:
    assert doors.differences(
        list(doors.calls(a_service())), {"thing.write", "thing.mend"}, {"thing.mend"}
    ) == ({"thing.read"}, {"thing.write"})


def test_an_undocumented_route_is_noticed() -> None:
    document: dict[str, Any] = {
        "paths": {"/v1/open": {"get": {}}, "/v1/things/{thing_id}": {"get": {}}}
    }

    assert doors.undocumented(list(doors.calls(a_service())), document) == [
        Call("POST", "/v1/forgotten", None)
    ]


def test_settings_are_stubbed_without_touching_the_environment(tmp_path: Path) -> None:
    for service in SERVICES:
        doors.stub(import_module(f"{service.name}.config").Settings, tmp_path)
