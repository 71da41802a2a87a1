"""One document for all services."""

import json
from typing import Any

from chassis.http.client import InternalClient
from clientele import registry
from gateway.clients import InProcess
from gateway.views.merging import merge
from gateway.views.openapi import Catalog
from gateway.views.routes import Routes
from openapi_spec_validator import validate

from tests.gateway.conftest import World
from tests.gateway.fakes import SECRET, Fake

ROUTES = Routes.load(registry.FILE)


def _document(path: str, member: str, **paths: Any) -> dict[str, Any]:
    answer = {
        "200": {
            "description": "ok",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/List"}}},
        },
        "default": {"$ref": "#/components/responses/Problem"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "v1"},
        "tags": [{"name": path}],
        "paths": {path: {"get": {"responses": answer}}, **paths},
        "components": {
            "schemas": {
                "List": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
                "Item": {"type": "object", "properties": {member: {"type": "string"}}},
                "Unused": {"type": "null"},
                "Problem": {"type": "object"},
            },
            "responses": {
                "Problem": {
                    "description": "Problem",
                    "content": {
                        "application/problem+json": {
                            "schema": {"$ref": "#/components/schemas/Problem"}
                        }
                    },
                }
            },
        },
    }


ITEM: dict[str, Any] = {"get": {"responses": {"200": {"description": "ok"}}}}
WITH_ID: dict[str, Any] = {
    **ITEM,
    "parameters": [
        {"name": "organization_id", "in": "path", "required": True, "schema": {"type": "string"}}
    ],
}
DOCUMENTS = {
    "org": _document(
        "/v1/settings",
        "a",
        **{
            "/internal/revocations": ITEM,
            "/healthz": ITEM,
            "/v1/wallet": ITEM,
            "/v1/organizations/{organization_id}": WITH_ID,
        },
    ),
    "billing": _document(
        "/v1/wallet", "b", **{"/v1/organizations/{organization_id}/account": WITH_ID}
    ),
    "membership": _document(
        "/v1/me", "a", **{"/v1/sessions": {"post": ITEM["get"], "get": ITEM["get"]}}
    ),
}


def test_the_merged_document_is_valid_and_contains_what_is_routed() -> None:
    merged = merge(DOCUMENTS, ROUTES, "https://api.example.com")
    validate(merged)
    assert set(merged["paths"]) == {
        "/v1/settings",
        "/v1/organizations/{organization_id}",
        "/v1/wallet",
        "/v1/me",
        "/v1/organizations/{organization_id}/account",
        "/v1/sessions",
    }
    assert merged["servers"] == [{"url": "https://api.example.com"}]
    assert merged["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert merged["paths"]["/v1/sessions"]["post"]["security"] == []
    assert "security" not in merged["paths"]["/v1/sessions"]["get"]


def test_differing_components_are_renamed_with_all_references_and_equal_ones_are_merged() -> None:
    merged = merge(DOCUMENTS, ROUTES, "https://api.example.com")
    schemas = merged["components"]["schemas"]
    assert set(schemas) == {"List", "Item", "BillingList", "BillingItem", "Problem"}
    assert schemas["BillingList"]["items"] == {"$ref": "#/components/schemas/BillingItem"}
    wallet = merged["paths"]["/v1/wallet"]["get"]["responses"]["200"]["content"]["application/json"]
    assert wallet["schema"] == {"$ref": "#/components/schemas/BillingList"}


def test_it_is_cached_for_a_minute_and_survives_an_unavailable_service() -> None:
    at, fakes = [0.0], {name: Fake(name, openapi=document) for name, document in DOCUMENTS.items()}
    catalog = Catalog(
        ROUTES,
        {name: InternalClient(InProcess(fake), "gateway", SECRET) for name, fake in fakes.items()},
        "https://x",
        clock=lambda: at[0],
    )
    first = catalog.document()
    fakes["org"].openapi = _document("/v1/settings", "c")
    at[0] = 59
    assert catalog.document() is first
    at[0] = 61
    fakes["billing"].silent = True
    second = catalog.document()
    assert catalog.document() is second
    assert "c" in json.loads(second)["components"]["schemas"]["Item"]["properties"]
    assert "/v1/wallet" in json.loads(second)["paths"]


def test_the_gateway_serves_it_without_a_token(world: World) -> None:
    world.billing.silent = True
    answer = world.client.get("/v1/openapi.json")
    assert (answer.status_code, answer.json["code"]) == (503, "service_unavailable")
    world.app.extensions["forwarder"].close()


def test_it_is_served_once_every_service_has_responded(world: World) -> None:
    world.org.openapi = DOCUMENTS["org"]
    answer = world.client.get("/v1/openapi.json")
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert answer.headers["X-Request-Id"]
    validate(json.loads(answer.data))
