"""From an empty database to a customer's owner who is logged in."""

import pytest
from contracts import membership as messages

pytestmark = pytest.mark.both_databases


def test_from_an_empty_database_to_a_logged_in_owner(service):
    staff = service.provider()
    provider_id = service.claims(staff)["org"]
    organization_id, token = service.owner(provider_id=provider_id)
    assert service.claims(token)["org"] == organization_id
    assert service.claims(token)["role"] == "owner"
    assert [m.organization_id for m in service.published(messages.OwnerInvited)] == [
        organization_id
    ]
    changed = service.published(messages.MembersChanged)[-1]
    assert changed.owner.verified and changed.members == 1
    me = service.call("GET", "/v1/me", token=token).json
    assert me["identity"]["email"] == "olga@customer.example"
    people = service.call("GET", f"/v1/organizations/{organization_id}/members", token=staff).json
    assert [p["role"] for p in people["data"]] == ["owner"]
    keys = service.client.get("/.well-known/jwks.json")
    assert keys.headers["Cache-Control"] == "public, max-age=300"
    assert keys.json["keys"][0]["crv"] == "Ed25519" and "d" not in keys.json["keys"][0]
