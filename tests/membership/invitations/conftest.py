"""A customer whose people are invited."""

import re

import pytest
from chassis.runtime import clock, ids
from contracts import membership as messages
from membership import models
from sqlalchemy import insert

OLGA, MIA, NEW = "olga@customer.example", "mia@customer.example", "mia.new@customer.example"
PASSWORD = "four calm otters drift"
OTHER = "seven quiet herons wait"


class Setup:
    """A provider's customer whose owner is logged in."""

    def __init__(self, service):
        self.service = service
        self.staff = service.provider()
        self.provider_id = service.claims(self.staff)["org"]
        self.organization_id, self.owner = service.owner(provider_id=self.provider_id)

    def call(self, method, rest="", body=None, *, token=None, organization_id=None):
        path = f"/v1/organizations/{organization_id or self.organization_id}/members{rest}"
        return self.service.call(method, path, body, token=token or self.owner)

    def add(self, address=MIA, role="member", **more):
        body = {
            "name": address.partition("@")[0].title(),
            "portal_access": True,
            "role": role,
            "email": address,
        }
        return self.call("POST", "", body, **more)

    def joined(self, address=MIA, role="member"):
        member_id = self.add(address, role).json["id"]
        self.service.accept(address)
        return member_id

    def show(self, member_id):
        return self.call("GET", f"/{member_id}").json

    def resend(self, member_id, **more):
        return self.call("POST", f"/{member_id}/resend-verification", **more)

    def advance(self, **time):
        """Advance the clock and log both in again."""
        self.service.clock.advance(**time)
        self.owner = self.service.log_in(OLGA)["access_token"]
        self.staff = self.service.log_in("admin@example.com")["access_token"]

    def verify(self, link, body=None, **more):
        return self.service.call("POST", f"/v1/verifications/{link}", body or {}, **more)

    def renew(self, link):
        answer = self.service.call("POST", f"/v1/verifications/{link}/renewal")
        assert (answer.status_code, answer.json) == (202, {"accepted": True})

    def undo_link(self, address=MIA):
        mails = [m.get_content() for m in self.service.send_mails() if m["To"] == address]
        return re.findall(r"https://app\.example/undo/(\S+)", "".join(mails))[-1]

    def mails(self, address, words):
        return [
            m for m in self.service.send_mails() if m["To"] == address and words in m.get_content()
        ]

    def audited(self, action):
        return [m for m in self.service.published(messages.AuditRecorded) if m.action == action]

    def member_rows(self, count, **more):
        """Insert members directly into the database."""
        row = {
            "organization_id": self.organization_id,
            "role": "member",
            "status": "active",
            "verified": False,
            "name": "M",
            "sort_name": "m",
            "search": "m",
            "created_at": clock.now(),
        }
        rows = [row | {"id": ids.new("mem")} | more for _ in range(count)]
        with self.service.database.transaction() as session:
            session.execute(insert(models.Member), rows)
        return rows


@pytest.fixture
def setup(service):
    return service.prepared("invitations", lambda: Setup(service))
