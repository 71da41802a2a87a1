"""A provider with staff, and a customer they may step into."""

import email.message
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from contracts import membership, org
from membership import jobs
from membership.models import ActingSession, Identity, Member
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.membership.conftest import CHEAP, PASSWORD, World

_HASH = CHEAP.hash(PASSWORD)


@dataclass
class Scene:
    """``boss``, ``staff``, ``other``: the provider's owner and two colleagues of the preset manager, of whom the second
    is hired when first asked for; ``owner``: the customer's. All are access tokens."""

    world: World
    boss: str
    provider_id: str
    organization_id: str = ""
    owner: str = ""
    secrets: list[str] = field(default_factory=list)

    @property
    def support(self) -> str:
        return f"/v1/organizations/{self.organization_id}/remote-support"

    @cached_property
    def staff(self) -> str:
        return self._hire("staff")

    @cached_property
    def other(self) -> str:
        return self._hire("other")

    def member(
        self, address: str, *, role: str = "member", at: str = "", **more: Any
    ) -> tuple[str, str]:
        """Somebody new who has joined: their id and their token."""
        organization_id = at or self.organization_id
        name = address.partition("@")[0].capitalize()
        body = {
            "name": f"{name} Newcomer",
            "email": address,
            "role": role,
            "portal_access": True,
            **more,
        }
        added = self.call(
            "POST", f"/v1/organizations/{organization_id}/members", body, token=self.boss
        )
        assert added.status_code == 201, added.text
        with self.world.database.transaction() as session:
            member = session.get_one(Member, added.json["id"])
            identity = session.get_one(Identity, member.identity_id)
            member.status, member.verified = "active", True
            identity.password_hash, identity.email_verified_at = _HASH, identity.created_at
        return added.json["id"], self.world.log_in(address, organization_id=organization_id)[
            "access_token"
        ]

    def _hire(self, name: str) -> str:
        address = f"{name}.svensson@provider.example"
        member_id, token = self.member(address, at=self.provider_id, preset="manager")
        claims = self.world.claims(token)
        self.secrets += [
            address,
            claims["sub"],
            claims["sid"],
            member_id,
            claims["name"],
            "svensson",
        ]
        return token

    def settings(self, *, version: int = 1, **chosen: Any) -> None:
        self.world.hear(
            org.SettingsChanged(provider_id=self.provider_id, version=version, settings=chosen)
        )

    def call(self, *args: Any, **kwargs: Any) -> TestResponse:
        return self.world.call(*args, **kwargs)

    def fresh(self, name: str = "staff") -> str:
        """A token of a new session of that colleague."""
        address = f"{name}.svensson@provider.example"
        token: str = self.world.log_in(address, organization_id=self.provider_id)["access_token"]
        return token

    # --- stepping in

    def login_as(
        self, member_id: str, *, token: str = "", reason: str = "their screen is odd"
    ) -> TestResponse:
        path = f"/v1/organizations/{self.organization_id}/members/{member_id}/login-as"
        return self.call("POST", path, {"reason": reason}, token=token or self.staff)

    def request(self, *, token: str = "", **more: Any) -> TestResponse:
        return self.call(
            "POST", self.support, {"reason": "a closer look", **more}, token=token or self.staff
        )

    def enter(self, grant_id: str, *, token: str = "", **more: Any) -> TestResponse:
        return self.call(
            "POST", f"{self.support}/{grant_id}/enter", more, token=token or self.staff
        )

    def inside(self, **more: Any) -> str:
        """A token of staff in there under a fresh grant."""
        return self.enter(self.request(**more).json["id"]).json["access_token"]

    def tick(self) -> int:
        return jobs.end_support(self.world.database, self.world.clock.now(), self.world.settings)

    # --- what is known of it

    def rows(self, *prefixes: str) -> list[membership.AuditRecorded]:
        said = self.world.said(membership.AuditRecorded)
        return [
            row
            for row in said
            if row.action.startswith(prefixes or ("support.", "member.login_as."))
        ]

    def why(self) -> list[str]:
        """Why each stay ended that has."""
        return [one.reason for one in self.world.said(membership.ActingEnded)]

    def stays(self) -> list[ActingSession]:
        with self.world.database.reading() as session:
            return list(session.scalars(select(ActingSession).order_by(ActingSession.id)))

    def tells_who(self, *shown: Any) -> list[str]:
        """What of the staff stands in there."""
        assert self.secrets
        text = "\n".join(
            one if isinstance(one, str) else json.dumps(one, default=str) for one in shown
        )
        return [secret for secret in self.secrets if secret.casefold() in text.casefold()]


def scene(world: World, *, managed_by: str = "provider", managed_service: bool = True) -> Scene:
    boss = world.provider()
    provider_id = world.claims(boss)["org"]
    made = Scene(world, boss, provider_id)
    made.settings(managed_service=managed_service)
    made.organization_id, made.owner = world.owner(provider_id=provider_id, managed_by=managed_by)
    assert made.staff
    return made


def texts(mails: list[email.message.EmailMessage]) -> list[str]:
    return [f"{mail['Subject']}\n{mail.get_content()}" for mail in mails]
