"""A provider with staff, and a customer that they may enter."""

import email.message
import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

from contracts import membership, org
from membership import jobs
from membership.models import ActingSession, Identity, Member
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.membership.conftest import CHEAP, PASSWORD, MembershipService

MICROSECOND = timedelta(microseconds=1)
_HASH = CHEAP.hash(PASSWORD)


@dataclass
class SupportSetup:
    """Access tokens: ``boss`` is the provider's owner, ``staff`` and ``other`` are managers of the
    provider (``other`` is added on first use), ``owner`` is the customer's."""

    service: MembershipService
    boss: str
    provider_id: str
    organization_id: str = ""
    owner: str = ""
    secrets: list[str] = field(default_factory=list)

    @property
    def grants_path(self) -> str:
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
        """Add a member who has joined; returns their id and token."""
        step = ("member", address, role, at, repr(more))
        return self.service.steps.once(step, lambda: self._member(address, role, at, more))

    def _member(self, address: str, role: str, at: str, more: dict[str, Any]) -> tuple[str, str]:
        organization_id = at or self.organization_id
        name = address.partition("@")[0].capitalize()
        body = {
            "name": f"{name} Newcomer",
            "email": address,
            "role": role,
            "portal_access": True,
            **more,
        }
        by = self.owner if role == "admin" and not at else self.boss
        added = self.call("POST", f"/v1/organizations/{organization_id}/members", body, token=by)
        assert added.status_code == 201, added.text
        with self.service.database.transaction() as session:
            member = session.get_one(Member, added.json["id"])
            identity = session.get_one(Identity, member.identity_id)
            member.status, member.verified = "active", True
            identity.password_hash, identity.email_verified_at = _HASH, identity.created_at
        return added.json["id"], self.service.log_in(address, organization_id=organization_id)[
            "access_token"
        ]

    def _hire(self, name: str) -> str:
        address = f"{name}.svensson@provider.example"
        member_id, token = self.member(address, at=self.provider_id, preset="manager")
        claims = self.service.claims(token)
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
        self.service.receive(
            org.SettingsChanged(provider_id=self.provider_id, version=version, settings=chosen)
        )

    def call(self, *args: Any, **kwargs: Any) -> TestResponse:
        return self.service.call(*args, **kwargs)

    def fresh(self, name: str = "staff") -> str:
        """A token of a new session of this colleague."""
        address = f"{name}.svensson@provider.example"
        token: str = self.service.log_in(address, organization_id=self.provider_id)["access_token"]
        return token

    # --- support sessions

    def login_as(
        self, member_id: str, *, token: str = "", reason: str = "their screen is odd"
    ) -> TestResponse:
        path = f"/v1/organizations/{self.organization_id}/members/{member_id}/login-as"
        return self.call("POST", path, {"reason": reason}, token=token or self.staff)

    def request(self, *, token: str = "", **more: Any) -> TestResponse:
        return self.call(
            "POST", self.grants_path, {"reason": "a closer look", **more}, token=token or self.staff
        )

    def enter(self, grant_id: str, *, token: str = "", **more: Any) -> TestResponse:
        return self.call(
            "POST", f"{self.grants_path}/{grant_id}/enter", more, token=token or self.staff
        )

    def enter_with_new_grant(self, **more: Any) -> str:
        """A token of staff in the customer's organization, under a new grant."""
        return self.enter(self.request(**more).json["id"]).json["access_token"]

    def end_expired(self) -> int:
        return jobs.end_support(
            self.service.database, self.service.clock.now(), self.service.settings
        )

    # --- audit and emails

    def rows(self, *prefixes: str) -> list[membership.AuditRecorded]:
        records = self.service.published(membership.AuditRecorded)
        return [
            row
            for row in records
            if row.action.startswith(prefixes or ("support.", "member.login_as."))
        ]

    def end_reasons(self) -> list[str]:
        """Why each ended session has ended."""
        return [one.reason for one in self.service.published(membership.ActingEnded)]

    def acting_sessions(self) -> list[ActingSession]:
        with self.service.database.reading() as session:
            return list(session.scalars(select(ActingSession).order_by(ActingSession.id)))

    def staff_details_in(self, *shown: Any) -> list[str]:
        """The staff's personal details that appear in there."""
        assert self.secrets
        text = "\n".join(
            one if isinstance(one, str) else json.dumps(one, default=str) for one in shown
        )
        return [secret for secret in self.secrets if secret.casefold() in text.casefold()]


def support_setup(
    service: MembershipService, *, managed_by: str = "provider", managed_service: bool = True
) -> SupportSetup:
    step = ("support", managed_by, managed_service)
    return service.prepared(step, lambda: _support_setup(service, managed_by, managed_service))


def _support_setup(
    service: MembershipService, managed_by: str, managed_service: bool
) -> SupportSetup:
    boss = service.provider()
    provider_id = service.claims(boss)["org"]
    made = SupportSetup(service, boss, provider_id)
    made.settings(managed_service=managed_service)
    made.organization_id, made.owner = service.owner(provider_id=provider_id, managed_by=managed_by)
    assert made.staff
    return made


def texts(mails: list[email.message.EmailMessage]) -> list[str]:
    return [f"{mail['Subject']}\n{mail.get_content()}" for mail in mails]
