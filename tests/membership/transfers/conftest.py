"""A customer whose ownership is transferred."""

import pytest
from contracts import membership as messages
from membership import models
from sqlalchemy import select, update

OLGA, MIA, ADAM = "olga@customer.example", "mia@customer.example", "adam@customer.example"
HOURS = 72


class Setup:
    """A customer with an owner, an admin and a member, all logged in, and its provider's owner."""

    def __init__(self, service):
        self.service = service
        self.staff = service.provider()
        self.provider_id = service.claims(self.staff)["org"]
        self.organization_id, self.owner = service.owner(provider_id=self.provider_id)
        self.olga = service.claims(self.owner)["mid"]
        self.adam, self.admin = self.joined(ADAM, "admin")
        self.mia, self.member = self.joined(MIA)

    def joined(self, address, role="member", organization_id=None, **more):
        body = {
            "name": address.partition("@")[0].title(),
            "portal_access": True,
            "role": role,
            "email": address,
        }
        path = f"/v1/organizations/{organization_id or self.organization_id}/members"
        added = self.service.call("POST", path, body | more, token=self.staff)
        assert added.status_code == 201, added.text
        self.service.accept(address)
        return added.json["id"], self.log_in(address)

    def log_in(self, address):
        return self.service.log_in(address)["access_token"]

    def call(self, method, rest="", body=None, *, token=None, organization_id=None, **kwargs):
        path = (
            f"/v1/organizations/{organization_id or self.organization_id}/ownership-transfers{rest}"
        )
        return self.service.call(method, path, body, token=token or self.owner, **kwargs)

    def transfer(self, member_id, *, token=None, **kwargs):
        return self.call(
            "POST", "", {"member_id": member_id, "reason": "Olga leaves"}, token=token, **kwargs
        )

    def offer(self, member_id=None):
        answer = self.transfer(member_id or self.mia)
        assert (answer.status_code, answer.json["status"]) == (201, "offered"), answer.text
        return answer.json["id"]

    def at_once(self, member_id=None):
        answer = self.transfer(member_id or self.mia, token=self.staff)
        assert (answer.status_code, answer.json["status"]) == (201, "completed"), answer.text
        return answer.json["id"]

    def roles(self, organization_id=None):
        with self.service.database.reading() as session:
            rows = session.scalars(
                select(models.Member).where(
                    models.Member.organization_id == (organization_id or self.organization_id),
                    models.Member.status.in_(("pending", "active", "disabled")),
                )
            )
            return {m.id: m.role for m in rows}

    def owners(self):
        return [member_id for member_id, role in self.roles().items() if role == "owner"]

    def audited(self):
        rows = [
            m
            for m in self.service.published(messages.AuditRecorded)
            if m.action.startswith("ownership.")
        ]
        return [(m.action, m.outcome) for m in rows]

    def mails(self, to):
        return [
            m["Subject"]
            for m in self.service.send_mails()
            if m["To"] == to and "owner" in m["Subject"]
        ]

    def set_state(self, state):
        with self.service.database.transaction() as session:
            session.execute(
                update(models.Organization)
                .where(models.Organization.id == self.organization_id)
                .values(state=state)
            )


@pytest.fixture
def setup(service):
    return service.prepared("transfers", lambda: Setup(service))


def code(answer):
    return answer.status_code, answer.json["code"]
