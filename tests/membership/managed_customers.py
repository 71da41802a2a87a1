"""A customer with one member of each kind, and the people of its provider who try to rule it."""

import re
from typing import Any

from contracts import org
from membership.models import Member
from werkzeug.test import TestResponse

from tests.membership.conftest import MembershipService
from tests.membership.support_setup import SupportSetup, support_setup

ADMIN = {"portal_access": True, "role": "admin"}


class Managed:
    """A customer with its owner Olga, an admin, a disabled admin, a member and a desk phone, all
    added by the owner; and those of the provider who may change members."""

    def __init__(self, support: SupportSetup) -> None:
        self.support, self.service = support, support.service
        at = f"/v1/organizations/{support.organization_id}"
        self.members, self.transfers = f"{at}/members", f"{at}/ownership-transfers"
        self.olga = self.service.claims(support.owner)["mid"]
        self.adam = self.add("adam@customer.example", **ADMIN)
        self.dora = self.add("dora@customer.example", **ADMIN)
        self.mike = self.add("mike@customer.example", role="member", portal_access=True)
        desk = {"name": "Desk", "portal_access": False}
        self.desk = self.ask("POST", self.members, desk, support.owner).json["id"]
        self.ask("POST", f"{self.members}/{self.dora}/disable", None, support.owner)
        self.helper = support.member("sue@provider.example", at=support.provider_id)[0]
        key = {"name": "Sync", "scopes": ["member:manage"]}
        self.key = self.ask("POST", "/v1/api-keys", key, support.boss).json["api_key"]

    def add(self, address: str, *, token: str = "", **more: Any) -> str:
        """Add a member, as the owner or with this token; returns the id."""
        body = {"name": address.partition("@")[0].title(), "email": address} | more
        added = self.ask("POST", self.members, body, token or self.support.owner)
        assert added.status_code == 201, added.text
        return str(added.json["id"])

    def ask(self, method: str, path: str, body: Any, token: str, **more: Any) -> TestResponse:
        return self.support.call(method, path, body, token=token, **more)

    def joined(self, member_id: str, address: str) -> str:
        """A token of this member, who joins by the link."""
        self.service.accept(address)
        token: str = self.service.log_in(address)["access_token"]
        assert self.service.claims(token)["mid"] == member_id
        return token

    def of_the_provider(self) -> dict[str, str]:
        """The tokens of those of the provider who may change members."""
        preset = {"preset": "support"}
        at = f"/v1/organizations/{self.support.provider_id}/members/{self.helper}"
        assert self.ask("PATCH", at, preset, self.support.boss).status_code == 200
        sue = self.service.log_in("sue@provider.example")["access_token"]
        key = self.support.call("POST", "/v1/sessions", {"api_key": self.key}).json["access_token"]
        return {"owner": self.support.boss, "manager": self.support.staff, "support": sue, "k": key}

    def attempts(self) -> dict[str, tuple[str, str, Any]]:
        """What would give somebody power over the customer."""
        elsewhere = {"email": "mine@provider.example"}
        new = {"name": "Mine", **ADMIN, **elsewhere}
        return {
            "add an admin": ("POST", self.members, new),
            "raise": ("PATCH", f"{self.members}/{self.mike}", {"role": "admin"}),
            "raise and move": (
                "PATCH",
                f"{self.members}/{self.mike}",
                {"role": "admin", **elsewhere},
            ),
            "enable": ("POST", f"{self.members}/{self.dora}/enable", None),
            "give access": ("PATCH", f"{self.members}/{self.desk}", {**ADMIN, **elsewhere}),
            "move an admin": ("PATCH", f"{self.members}/{self.adam}", elsewhere),
            "move the owner": ("PATCH", f"{self.members}/{self.olga}", elsewhere),
            "move and demote": (
                "PATCH",
                f"{self.members}/{self.adam}",
                {"role": "member", **elsewhere},
            ),
        }

    def managed_by(self, whom: str, name: str = "Acme Ltd") -> None:
        self.service.receive(
            org.OrganizationChanged(
                organization_id=self.support.organization_id,
                provider_id=self.support.provider_id,
                name=name,
                billing={},
                buyer_tags={},
                managed_by=whom,
            )
        )

    def undo_link(self) -> str:
        """The token of the last link that undoes an address change."""
        sent = "".join(mail.get_content() for mail in self.service.send_mails())
        return str(re.findall(r"/undo/(\S+)", sent)[-1])

    def confirmed(self, member_id: str) -> bool:
        shown = self.ask("GET", f"{self.members}/{member_id}", None, self.support.owner)
        assert isinstance(shown.json["confirmed"], bool)
        return bool(shown.json["confirmed"])

    def consent(self, token: str) -> tuple[int, str]:
        """The outcome of an attempt to consent to a new request, which is withdrawn if refused."""
        grant = self.support.request(token=self.support.fresh()).json["id"]
        path = f"{self.support.grants_path}/{grant}"
        answer = self.ask("POST", f"{path}/approve", {}, token)
        if answer.status_code != 200:
            self.ask("DELETE", path, None, self.support.fresh())
        return answer.status_code, answer.json.get("code", answer.json["status"])

    def rows(self) -> list[tuple[Any, ...]]:
        """What the attempts would change."""
        with self.service.database.reading() as session:
            columns = (Member.id, Member.role, Member.status, Member.email)
            return list(session.query(*columns).order_by(Member.id))


def managed(service: MembershipService, managed_by: str) -> Managed:
    step = ("managed", managed_by)
    return service.prepared(step, lambda: Managed(support_setup(service, managed_by=managed_by)))
