"""What should be true of one customer's people and of the provider's staff among them, said without
looking at the code that decides it: who they are, whether they may come in, and which of the tokens
handed out still open the door."""

import copy
from dataclasses import dataclass, field
from typing import Any

from tests.identity.system import PASSWORD, System
from tests.identity.world import World

OWNER, MANAGER, SUPPORT = "olga", "mila", "sven"


@dataclass
class Person:
    """Somebody of the customer's. ``status``: pending, active, disabled, removed; ``proved``: their
    address is."""

    name: str
    member_id: str
    role: str
    status: str = "pending"
    proved: bool = False

    @property
    def address(self) -> str:
        return f"{self.name}@lives.example"

    @property
    def is_here(self) -> bool:
        return self.status != "removed"


@dataclass
class Pass:
    """A token that was handed out. ``of``: whose, a person's or a staff member's name; ``via``: for
    whom or under which grant staff act, and ``parent`` the session of their own that it stands on.
    """

    token: str
    of: str
    session_id: str
    good: bool = True
    via: str = ""
    parent: "Pass | None" = None


@dataclass
class Grant:
    """Leave to enter."""

    id: str
    live: bool = True


@dataclass
class Told:
    """An accepted change: the request's id, and what its row in the audit must be called."""

    request_id: str
    action: str


@dataclass
class Lives:
    """One customer, asked through the gateway, beside what should be true of it."""

    system: System
    organization_id: str
    people: dict[str, Person]
    staff: dict[str, Pass]
    status: str = "active"
    passes: list[Pass] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    offer: tuple[str, str] | None = None
    last_transfer: tuple[str, str, str, str] | None = None
    told: list[Told] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/v1/organizations/{self.organization_id}"

    @property
    def owner(self) -> Person:
        (found,) = [p for p in self.people.values() if p.role == "owner" and p.is_here]
        return found

    @property
    def editable(self) -> bool:
        return self.status in ("active", "suspended")

    def ask(self, method: str, path: str, body: Any = None, *, token: str, action: str = "") -> Any:
        """Ask, let everything settle; what was accepted must stand in the audit as ``action``."""
        answer = self.system.call(method, path, body, token=token)
        assert answer.status_code < 500, answer.text
        if answer.status_code < 300 and action:
            self.told.append(Told(answer.headers["X-Request-Id"], action))
        if method != "GET":
            self.system.settle()
        return answer

    def by_staff(
        self, method: str, path: str, body: Any = None, *, who: str = MANAGER, action: str = ""
    ) -> Any:
        return self.ask(method, self.path + path, body, token=self.staff[who].token, action=action)

    def end_passes(self, *, of: str = "", via: str = "", everybody: bool = False) -> None:
        """These tokens are good no more: of somebody or of whoever acts as them, under a grant, or
        all of the customer's, whoever holds them."""
        for one in self.passes:
            if everybody or (of and of in (one.of, one.via)) or (via and one.via == via):
                one.good = False

    def live_acting(self, staff: str) -> Pass | None:
        return next((p for p in self.passes if p.via and p.good and p.of == staff), None)


def log_in_staff(world: World, name: str) -> Pass:
    """One of the provider's staff, with a session of their own."""
    answer = world.system.call(
        "POST", "/v1/sessions", {"email": f"{name}@lives.example", "password": PASSWORD}
    )
    assert answer.status_code == 201, answer.text
    return Pass(answer.json["access_token"], name, world.claims(answer.json)["sid"])


def again(world: World, begun: Lives) -> Lives:
    """The same once more, in databases that were put back, with fresh tokens."""
    staff = {name: log_in_staff(world, name) for name in (MANAGER, SUPPORT)}
    return Lives(world.system, begun.organization_id, copy.deepcopy(begun.people), staff)


def begin(world: World) -> Lives:
    """A customer with its owner and two more people, and two of the provider's staff logged in."""
    system = world.system
    for name, asked in (
        (MANAGER, {"role": "admin"}),
        (SUPPORT, {"role": "member", "preset": "support"}),
    ):
        body = {"name": name, "email": f"{name}@lives.example", "portal_access": True, **asked}
        member = world.ask(
            "provider", "POST", f"/v1/organizations/{world.tenants['provider'].id}/members", body
        )
        accept(world, Person(name, member["id"], asked["role"]))
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
    lives = Lives(system, made.json["id"], {OWNER: Person(OWNER, owner["id"], "owner")}, staff)
    accept(world, lives.people[OWNER])
    for name, role in (("anna", "admin"), ("mark", "member")):
        add(lives, name, role)
        accept(world, lives.people[name])
    return lives


def add(lives: Lives, name: str, role: str) -> Any:
    """Invite somebody, as the manager."""
    body = {
        "given_name": name,
        "family_name": "Lives",
        "email": f"{name}@lives.example",
        "portal_access": True,
        "role": role,
    }
    answer = lives.by_staff("POST", "/members", body, action="member.added")
    if answer.status_code == 201:
        lives.people[name] = Person(name, answer.json["id"], role)
    return answer


def accept(world: World, person: Person) -> Any:
    """Follow the link in the mail."""
    answer = world.system.call(
        "POST", f"/v1/verifications/{world.link(person.address)}", {"password": PASSWORD}
    )
    if answer.status_code == 201:
        person.status, person.proved = "active", True
    world.system.settle()
    return answer
