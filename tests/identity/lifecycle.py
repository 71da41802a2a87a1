"""A model of one customer's members and of the provider's staff, independent of the code: who they
are, whether they may log in, and which of their tokens are still valid."""

import copy
from dataclasses import dataclass, field
from typing import Any

from tests.identity.system import PASSWORD, System
from tests.identity.world import World

OWNER, MANAGER, SUPPORT = "olga", "mila", "sven"


@dataclass
class Person:
    """A member of the customer. ``status``: pending, active, disabled, removed; ``verified``:
    whether their address is."""

    name: str
    member_id: str
    role: str
    status: str = "pending"
    verified: bool = False

    @property
    def address(self) -> str:
        return f"{self.name}@lives.example"

    @property
    def is_current(self) -> bool:
        return self.status != "removed"


@dataclass
class IssuedToken:
    """An issued token. ``of``: the name of the person or staff member; ``via``: as whom or under
    which grant staff act, and ``parent``: their own session, which it depends on."""

    token: str
    of: str
    session_id: str
    good: bool = True
    via: str = ""
    parent: "IssuedToken | None" = None


@dataclass
class Grant:
    """A support grant."""

    id: str
    live: bool = True


@dataclass
class AcceptedChange:
    """An accepted change: the request's id, and the action of its audit record."""

    request_id: str
    action: str


@dataclass
class Lifecycle:
    """One customer, used through the gateway, with the expected state of it."""

    system: System
    organization_id: str
    people: dict[str, Person]
    staff: dict[str, IssuedToken]
    status: str = "active"
    tokens: list[IssuedToken] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    offer: tuple[str, str] | None = None
    last_transfer: tuple[str, str, str, str] | None = None
    accepted_changes: list[AcceptedChange] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/v1/organizations/{self.organization_id}"

    @property
    def owner(self) -> Person:
        (owner,) = [p for p in self.people.values() if p.role == "owner" and p.is_current]
        return owner

    @property
    def editable(self) -> bool:
        return self.status in ("active", "suspended")

    def ask(self, method: str, path: str, body: Any = None, *, token: str, action: str = "") -> Any:
        """Send the request and settle. If accepted, the audit log must record it as ``action``."""
        answer = self.system.call(method, path, body, token=token)
        assert answer.status_code < 500, answer.text
        if answer.status_code < 300 and action:
            self.accepted_changes.append(AcceptedChange(answer.headers["X-Request-Id"], action))
        if method != "GET":
            self.system.settle()
        return answer

    def by_staff(
        self, method: str, path: str, body: Any = None, *, by: str = MANAGER, action: str = ""
    ) -> Any:
        return self.ask(method, self.path + path, body, token=self.staff[by].token, action=action)

    def expect_tokens_ended(self, *, of: str = "", via: str = "", everybody: bool = False) -> None:
        """Expect these tokens to be invalid: those of a person and of staff acting as them,
        those under a grant, or all of the customer's."""
        for one in self.tokens:
            if everybody or (of and of in (one.of, one.via)) or (via and one.via == via):
                one.good = False

    def live_acting(self, staff: str) -> IssuedToken | None:
        return next((p for p in self.tokens if p.via and p.good and p.of == staff), None)


def log_in_staff(world: World, name: str) -> IssuedToken:
    """Log in one of the provider's staff."""
    answer = world.system.call(
        "POST", "/v1/sessions", {"email": f"{name}@lives.example", "password": PASSWORD}
    )
    assert answer.status_code == 201, answer.text
    return IssuedToken(answer.json["access_token"], name, world.claims(answer.json)["sid"])


def restored(world: World, begun: Lifecycle) -> Lifecycle:
    """The same model for restored databases, with new tokens."""
    staff = {name: log_in_staff(world, name) for name in (MANAGER, SUPPORT)}
    return Lifecycle(world.system, begun.organization_id, copy.deepcopy(begun.people), staff)


def create(world: World) -> Lifecycle:
    """Create a customer with its owner and two more members; log in two of the provider's staff."""
    system = world.system
    for name, fields in (
        (MANAGER, {"role": "admin"}),
        (SUPPORT, {"role": "member", "preset": "support"}),
    ):
        body = {"name": name, "email": f"{name}@lives.example", "portal_access": True, **fields}
        member = world.send(
            "provider", "POST", f"/v1/organizations/{world.tenants['provider'].id}/members", body
        )
        accept(world, Person(name, member["id"], fields["role"]))
    staff = {name: log_in_staff(world, name) for name in (MANAGER, SUPPORT)}
    body = {
        "name": "Lives Ltd",
        "country": "DE",
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "pricing_model": "app",
        "billing": {"email": "bills@lives.example"},
        "owner": {"given_name": "Olga", "family_name": "Owner", "email": f"{OWNER}@lives.example"},
    }
    made = system.call("POST", "/v1/organizations", body, token=staff[MANAGER].token)
    assert made.status_code == 201, made.text
    system.settle()
    path = f"/v1/organizations/{made.json['id']}"
    owner = system.call("GET", f"{path}/members", token=staff[MANAGER].token).json["data"][0]
    lifecycle = Lifecycle(
        system, made.json["id"], {OWNER: Person(OWNER, owner["id"], "owner")}, staff
    )
    accept(world, lifecycle.people[OWNER])
    for name, role in (("anna", "admin"), ("mark", "member")):
        add(lifecycle, name, role)
        accept(world, lifecycle.people[name])
    return lifecycle


def add(lifecycle: Lifecycle, name: str, role: str) -> Any:
    """Invite a member, as the manager."""
    body = {
        "given_name": name,
        "family_name": "Lives",
        "email": f"{name}@lives.example",
        "portal_access": True,
        "role": role,
    }
    answer = lifecycle.by_staff("POST", "/members", body, action="member.added")
    if answer.status_code == 201:
        lifecycle.people[name] = Person(name, answer.json["id"], role)
    return answer


def accept(world: World, person: Person) -> Any:
    """Use the link in the email."""
    answer = world.system.call(
        "POST", f"/v1/verifications/{world.link(person.address)}", {"password": PASSWORD}
    )
    if answer.status_code == 201:
        person.status, person.verified = "active", True
    world.system.settle()
    return answer
