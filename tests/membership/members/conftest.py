"""A customer whose members are changed."""

import pytest

OLGA = "olga@customer.example"
PASSWORD = "four calm otters drift"


class Setup:
    """A customer with an owner, an admin and a member, and its provider with staff of each role."""

    def __init__(self, service):
        self.service = service
        self.staff = service.provider()
        self.provider_id = service.claims(self.staff)["org"]
        self.organization_id, self.owner = service.owner(provider_id=self.provider_id)

    def path(self, rest="", organization_id=None):
        return f"/v1/organizations/{organization_id or self.organization_id}/members{rest}"

    def call(self, method, rest="", body=None, *, token=None, organization_id=None, **kwargs):
        return self.service.call(
            method, self.path(rest, organization_id), body, token=token or self.owner, **kwargs
        )

    def add(self, address, role="member", *, organization_id=None, token=None, **more):
        body = {
            "name": address.partition("@")[0].title(),
            "portal_access": True,
            "role": role,
            "email": address,
        }
        return self.call("POST", "", body | more, token=token, organization_id=organization_id)

    def joined(self, address, role="member", **more):
        """Add a member who is logged in; returns their id and token."""
        token = self.staff if "organization_id" in more else None
        member = self.add(address, role, token=token, **more).json
        self.service.accept(address)
        return member["id"], self.service.log_in(address)["access_token"]


@pytest.fixture
def setup(service):
    return service.prepared("members", lambda: Setup(service))
