"""Two providers and their customers for the matrix. Each has data of its own that contains a unique
word, so that leaks can be recognized."""

import email
import email.policy
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chassis.auth.callers import caller_of
from chassis.runtime import clock, ids
from membership import guard
from membership.models import LoginSession
from sqlalchemy import update

from tests.identity.system import ADMIN, PASSWORD, System

STAFF = ("manager", "billing", "support", "viewer")
PEOPLE = ("owner", "admin", "member")
KINDS = {
    "provider_id": "org",
    "organization_id": "org",
    "member_id": "mem",
    "transaction_id": "txn",
    "top_up_id": "txn",
    "invoice_id": "inv",
    "payment_id": "pay",
    "reservation_id": "res",
    "grant_id": "grt",
    "key_id": "key",
    "authenticator_id": "aut",
    "transfer_id": "grt",
    "session_id": "ses",
    "loginless_id": "mem",
    "grant_or_session_id": "grt",
}


@dataclass
class Tenant:
    """An organization and its things, by the names that paths have for them. ``status`` as org has
    it; ``word`` stands in everything of its own; ``provider``: the name of the tenant it belongs
    to."""

    name: str
    provider: str
    status: str = "active"
    things: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.things["organization_id"]

    @property
    def kind(self) -> str:
        return "provider" if self.name == self.provider else "customer"

    @property
    def word(self) -> str:
        return "zz" + self.name.replace(" ", "") + "zz"

    def thing(self, name: str) -> str:
        """The id; of what this organization lacks, one that nobody has; what is no name of a thing,
        as it is."""
        return self.things.get(name) or (ids.new(KINDS[name]) if name in KINDS else name)


@dataclass(frozen=True)
class Principal:
    """Somebody who sends requests. ``claims`` of their token, empty without one; ``refused``:
    what makes it void."""

    name: str
    tenant: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    refused: str = ""

    @property
    def role(self) -> str:
        return str(self.claims.get("role", ""))

    @property
    def kind(self) -> str:
        return str(self.claims.get("kind", ""))


class World:
    """All tenants, created through the public API."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.tenants: dict[str, Tenant] = {}
        self.principals: dict[str, Principal] = {}
        self._logins: dict[str, str] = {}
        self._tokens: dict[tuple[str, ...], tuple[float, str]] = {}

    def build(self) -> "World":
        """Two providers with customers."""
        system = self.system
        system.settle()
        self._provider("provider", ADMIN)
        system.add_provider("zzotherproviderzz", "owner@other.example")
        self._provider("other provider", "owner@other.example")
        for preset in STAFF:
            self.join("provider", preset)
        self.tenants["provider"].things["member_id"] = self.join("provider", "viewer", "target")[
            "id"
        ]
        for name in ("acme", "sibling", "suspended", "closing", "deleted"):
            self.customer(name, "provider")
        self.customer("foreign", "other provider")
        self.tenants["absent"] = Tenant("absent", "", things={"organization_id": ids.new("org")})
        self._people()
        self._programs()
        self._end()
        self._supporters()
        system.settle("audit_ledger")
        return self

    def token(self, principal: Principal) -> str:
        """An access token with their claims that lasts for an hour, so that nobody need log in
        again."""
        if not principal.claims:
            return ""
        claims, now = principal.claims, clock.now().timestamp()
        key = (principal.name, claims["jti"], str(claims.get("scope")))
        made, token = self._tokens.get(key, (0.0, ""))
        if now - made < 100:
            return token
        times = {"exp": claims["iat"] + 3600, "proved": now if claims.get("proved") else 0}
        if principal.refused == "expired":
            times |= {"iat": now - 400, "nbf": now - 400, "exp": now - 100}
        self._tokens[key] = now, str(self.system.signer.sign({**claims, **times}))
        return self._tokens[key][1]

    def reauthenticate_everyone(self) -> None:
        """Make every session recently authenticated, however long other tests took."""
        with self.system.databases["membership"].transaction() as session:
            session.execute(update(LoginSession).values(authenticated_at=clock.now()))

    def send(self, by: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request as the person with that login; returns the body of a successful
        response."""
        given = (
            {"Idempotency-Key": secrets.token_hex(8), **headers} if method == "POST" else headers
        )
        answer = self.system.call(method, path, body, token=self._logins[by], headers=given)
        assert answer.status_code < 300, (method, path, answer.status_code, answer.text)
        return answer.json if answer.text else None

    def log_in(self, address: str, tenant: str) -> dict[str, Any]:
        """The claims of a new session of this person there."""
        body = {"email": address, "password": PASSWORD, "organization_id": self.tenants[tenant].id}
        answer = self.system.call("POST", "/v1/sessions", body)
        assert answer.status_code == 201, answer.text
        return self.claims(answer.json)

    def claims(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The claims of the access token in a response."""
        gateway_guard = self.system.gateway.extensions["forwarder"]._guard
        return dict(gateway_guard.authenticate(f"Bearer {answer['access_token']}"))

    def link(self, address: str) -> str:
        """The token in the last email to that address."""
        self.system.settle()
        mails = [
            email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            for path in sorted((self.system.place.data / "mail").glob("*.eml"))
        ]
        match = re.search(
            r"https://app\.example/(?:verify|reset)/(\S+)",
            [mail for mail in mails if mail["To"] == address][-1].get_content(),
        )
        assert match
        return match[1]

    def join(self, tenant: str, role: str, name: str = "") -> dict[str, Any]:
        """Invite somebody with this role or preset; once they have accepted they are a
        principal."""
        place, name = self.tenants[tenant], name or role
        role_fields = {"role": "admin"} if role == "manager" else {"role": "member", "preset": role}
        body = {
            "given_name": name.title(),
            "family_name": place.word,
            "email": f"{name}@{place.word}.example",
            "portal_access": True,
            **(role_fields if tenant == "provider" else {"role": role}),
        }
        member: dict[str, Any] = self.send(
            place.provider, "POST", f"/v1/organizations/{place.id}/members", body
        )
        self._accept(body["email"])
        self._enter(f"{tenant}:{name}", tenant, body["email"])
        return member

    def customer(self, name: str, provider: str) -> Tenant:
        """A postpaid customer with one of each thing."""
        made = self.tenants[name] = Tenant(name, provider)
        owner = f"owner@{made.word}.example"
        body = {
            "name": f"{made.word} Ltd",
            "country": "DE",
            "currency": "EUR",
            "timezone": "Europe/Berlin",
            "pricing_model": "app",
            "payment_mode": "postpaid",
            "credit_limit": "1000",
            "billing": {"email": f"bills@{made.word}.example"},
            "owner": {"given_name": "Olga", "family_name": made.word, "email": owner},
        }
        made.things["organization_id"] = self.send(provider, "POST", "/v1/organizations", body)[
            "id"
        ]
        self._accept(owner)
        self._enter(f"{name}:owner", name, owner)
        made.things["owner_id"] = self.principals[f"{name}:owner"].claims["mid"]
        self._things(made)
        return made

    def _provider(self, name: str, owner: str) -> None:
        answer = self.system.call("POST", "/v1/sessions", {"email": owner, "password": PASSWORD})
        organization = answer.json["organization"]["id"]
        self.tenants[name] = Tenant(name, name, things={"organization_id": organization})
        self._enter(f"{name}:owner", name, owner)
        self._logins[name] = self._logins[f"{name}:owner"]
        self.tenants[name].things["member_id"] = self.principals[f"{name}:owner"].claims["mid"]
        self.send(
            name, "PATCH", "/v1/settings", {"managed_service": True, "deletion_grace_days": 0}
        )
        self.system.settle()

    def _things(self, tenant: Tenant) -> None:
        at, by, word, things = (
            f"/v1/organizations/{tenant.id}",
            tenant.provider,
            tenant.word,
            tenant.things,
        )
        leaves = tenant.name in ("closing", "deleted")
        charge = {"amount": "10", "kind": "usage", "description": word}
        things["transaction_id"] = self.send(by, "POST", f"{at}/account/charges", charge)["id"]
        things["invoice_id"] = self.send(by, "POST", f"{at}/invoices", {})["id"]
        paid = {"amount": "10" if leaves else "4", "method": "cash", "reference": word}
        things["payment_id"] = self.send(by, "POST", f"{at}/payments", paid)["id"]
        held = {"amount": "3", "description": word}
        things["reservation_id"] = self.send(by, "POST", f"{at}/account/reservations", held)["id"]
        if leaves:
            self.send(
                by, "POST", f"{at}/account/reservations/{things['reservation_id']}/release", {}
            )
        else:
            things["transaction_id"] = self.send(by, "POST", f"{at}/account/charges", charge)["id"]
        things["member_id"] = self.join(tenant.name, "member", "target")["id"]
        pin = self.send(
            by, "POST", f"{at}/members", {"name": f"Loginless {word}", "portal_access": False}
        )
        things |= {"loginless_id": pin["id"], "extension": pin["extension"], "pin": pin["pin"]}

    def _people(self) -> None:
        for role in ("admin", "member", "removed", "disabled"):
            member = self.join("acme", role if role in PEOPLE else "member", role)
            at = f"/v1/organizations/{self.tenants['acme'].id}/members/{member['id']}"
            if role == "removed":
                self.send("provider", "DELETE", at)
            elif role == "disabled":
                self.send("provider", "POST", f"{at}/disable")
            if role in ("removed", "disabled"):
                self.refuse(f"acme:{role}", role)

    def _programs(self) -> None:
        """API keys with every scope there is for one."""
        for tenant, owner in (("provider", "provider"), ("acme", "acme:owner")):
            body = {
                "name": f"key {self.tenants[tenant].word}",
                "scopes": sorted(
                    guard.grantable(caller_of(self.principals[f"{tenant}:owner"].claims))
                ),
            }
            key = self.send(owner, "POST", "/v1/api-keys", body)
            self.tenants[tenant].things["key_id"] = key["id"]
            session = self.system.call("POST", "/v1/sessions", {"api_key": key["api_key"]})
            self.principals[f"{tenant}:key"] = Principal(
                f"{tenant}:key", tenant, self.claims(session.json)
            )

    def _supporters(self) -> None:
        """Staff in the shoes of the customer's owner, and in the customer's organization; an offer
        of ownership."""
        for name in ("acme", "sibling"):
            at, things = f"/v1/organizations/{self.tenants[name].id}", self.tenants[name].things
            body = {"member_id": things["member_id"], "reason": "a test"}
            things["transfer_id"] = self.send(
                f"{name}:owner", "POST", f"{at}/ownership-transfers", body
            )["id"]
            for access, staff in (("read", "provider:support"), ("full", "provider:owner")):
                grant = self.send(
                    "provider",
                    "POST",
                    f"{at}/remote-support",
                    {"reason": "a test", "access": access},
                )
                things["grant_id"] = grant["id"]
                self._act(
                    staff,
                    name,
                    f"remote support, {access}",
                    f"{at}/remote-support/{grant['id']}/enter",
                )
            self._act(
                "provider:manager", name, "login as", f"{at}/members/{things['owner_id']}/login-as"
            )

    def _act(self, staff: str, tenant: str, name: str, path: str) -> None:
        if tenant == "acme":
            claims = self.claims(self.send(staff, "POST", path, {"reason": "a test"}))
            self.principals[name] = Principal(name, tenant, claims)

    def _end(self) -> None:
        """Suspend, schedule for deletion, delete."""
        for name, what in (("deleted", "delete"), ("closing", "delete"), ("suspended", "suspend")):
            path = f"/v1/organizations/{self.tenants[name].id}"
            if what == "suspend":
                self.send("provider", "POST", f"{path}/suspend", {"reason": "a test"})
            else:
                self.send("provider", "DELETE", path, {"reason": "a test"})
            self.system.settle()
            status = self.tenants[name].status = self.send("provider", "GET", path)["status"]
            assert status == {"suspended": "suspended", "deleted": "deleted"}.get(
                name, "suspended_for_deletion"
            )
            self.send("provider", "PATCH", "/v1/settings", {"deletion_grace_days": 30})
            self.system.settle()
            self.refuse(f"{name}:owner", name)

    def refuse(self, name: str, why: str) -> None:
        """Nobody believes this one any more."""
        known = self.principals[name]
        self.principals[name] = Principal(known.name, known.tenant, known.claims, why)

    def _accept(self, address: str) -> None:
        answer = self.system.call(
            "POST", f"/v1/verifications/{self.link(address)}", {"password": PASSWORD}
        )
        assert answer.status_code == 201, answer.text

    def _enter(self, name: str, tenant: str, address: str) -> None:
        self.principals[name] = Principal(name, tenant, self.log_in(address, tenant))
        self._logins[name] = self.token(self.principals[name])
