"""The expected response to each request, derived only from the services' permission tables and the
states table of the public contract."""

import functools
import itertools
import json
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib import import_module
from typing import Any

from chassis.auth.permissions import KEY, Operations, Row
from chassis.runtime import clock
from werkzeug.test import TestResponse

from tests.house import endpoints
from tests.identity.samples import SAMPLES, Sample
from tests.identity.system import Snapshot, System
from tests.identity.world import Principal, Tenant, World

METHODS = ("get", "post", "put", "patch", "delete")
OK = "ok"

# What the state of an organization does to what is permitted. ``ok``: it is done, or refused for
# another reason.
STATES = """
group    | active | suspended          | suspended_for_deletion | deleted
read     | ok     | ok                 | ok                     | ok
person   | ok     | ok                 | ok                     | 404
enter    | ok     | 409                | 409                    | 404
owner    | ok     | ok                 | 409                    | 410
support  | ok     | 409                | 409                    | 409
accept   | ok     | ok                 | 409                    | 410
deletion | 404    | 404                | ok                     | ok
edit     | ok     | ok                 | 409                    | 410
member   | ok     | ok                 | 409                    | 404
leave    | ok     | ok                 | 409                    | 404
members  | ok     | ok                 | 409                    | 410
spend    | ok     | 409 account_frozen | 409 account_closed     | 409
settle   | ok     | ok                 | 409 account_closed     | 409
reverse  | ok     | ok                 | 409                    | 409
card     | 404    | 404                | 404                    | 404
suspend  | ok     | 200                | 409                    | 410
activate | 200    | 200                | 200                    | 410
delete   | 202    | 202                | 202                    | 202
"""
# The provider's own organization: it has no account, and nobody ends it.
_ROOT = {
    "suspend": "409 provider_root",
    "activate": "409 provider_root",
    "delete": "409 provider_root",
}


@dataclass(frozen=True)
class Wanted:
    """The statuses and the codes that will do; ``ok``: whatever is no refusal of the caller and no
    failure."""

    statuses: frozenset[str]
    code: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, ("|".join(sorted(self.statuses)), self.code)))

    def fits(self, answer: TestResponse) -> bool:
        """Whether this is an expected response."""
        status = str(answer.status_code)
        fine = (
            OK in self.statuses
            and answer.status_code < 500
            and answer.status_code not in (401, 403, 404)
        )
        code = (answer.json or {}).get("code") if self.code else ""
        return (status in self.statuses or fine) and code == self.code

    @property
    def lets_in(self) -> bool:
        """Whether the caller is let in, so that the database may change, if only by remembering a
        key."""
        return not self.statuses <= {"401", "403", "404"}


UNKNOWN, REFUSED, ABSENT = (
    Wanted(frozenset({"401"})),
    Wanted(frozenset({"403"})),
    Wanted(frozenset({"404"})),
)


@dataclass(frozen=True)
class Operation:
    """A method on a path, as the OpenAPI document has it, and what its guard asks for."""

    method: str
    path: str
    name: str

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        """What the path asks for in addition to the organization."""
        return [name for name in re.findall(r"\{(\w+)\}", self.path) if name != "organization_id"]

    @property
    def of_an_organization(self) -> bool:
        return "{organization_id}" in self.path


@dataclass(frozen=True)
class Cell:
    """One request and what it must be answered."""

    operation: Operation
    sample: Sample
    principal: Principal
    tenant: Tenant
    wanted: Wanted

    def __str__(self) -> str:
        return f"{self.operation.key} by {self.principal.name} in {self.tenant.name}"

    @property
    def path(self) -> str:
        known = self.sample.ids or {}
        ids = {name: self.tenant.thing(known.get(name, name)) for name in self.operation.parameters}
        ids["organization_id"] = self.tenant.id
        return self.operation.path.format(**ids) + (
            f"?{self.sample.query}" if self.sample.query else ""
        )


def tables() -> Operations:
    """The permission tables of all services."""
    return Operations(
        {
            name: row
            for service in ("org", "billing", "membership")
            for name, row in import_module(f"{service}.guard").OPERATIONS.rows.items()
        }
    )


def operations(system: System) -> list[Operation]:
    """The operations of the merged document. Raises KeyError if no service has one of them."""
    names = {
        (c.method, c.documented_as): str(c.operation)
        for app in system.apps.values()
        for c in endpoints.endpoints_of(app)
    }
    document = system.call("GET", "/v1/openapi.json").json
    return [
        Operation(method.upper(), path, names[method.upper(), path])
        for path, item in document["paths"].items()
        for method in item
        if method in METHODS
    ]


def unsampled(offered: Iterable[Operation], samples: Mapping[str, object] = SAMPLES) -> set[str]:
    """Operations without a sample, and samples without an operation."""
    return {operation.key for operation in offered} ^ set(samples)


def cells(
    world: World, offered: Iterable[Operation], table: Operations, names: Iterable[str] = ()
) -> Iterator[Cell]:
    """Every operation by every principal in every organization, grouped by principal."""
    chosen = [p for p in principals(world) if not names or p.name in names]
    for principal in chosen:
        for operation in offered:
            for sample in SAMPLES[operation.key]:
                asks = _without_scope(principal, operation, sample, table)
                for tenant in _tenants(world, operation, asks):
                    yield Cell(
                        operation,
                        sample,
                        asks,
                        tenant,
                        wanted(operation, sample, asks, tenant, table),
                    )


def sampled(all_cells: Iterable[Cell]) -> Iterator[Cell]:
    """Each sample for everybody in their own organization, in one that does not exist, and in one
    other, by turns: together they ask for it in every organization."""
    turns: Counter[int] = Counter()
    for (principal, sample), group in itertools.groupby(
        all_cells, key=lambda cell: (cell.principal, id(cell.sample))
    ):
        everywhere = list(group)
        usual = (principal.tenant, "absent")
        others = [cell for cell in everywhere if cell.tenant.name not in usual]
        yield from (cell for cell in everywhere if cell.tenant.name in usual)
        if others:
            yield others[turns[sample] % len(others)]
            turns[sample] += 1


def principals(world: World) -> list[Principal]:
    """Every kind of caller, including some who are no longer valid."""
    known = world.principals
    people = [
        p
        for p in known.values()
        if p.name == "acme:target" or not p.name.endswith((":target", "foreign:owner"))
    ]
    return [
        Principal("nobody", refused="no token"),
        replace(known["provider:owner"], name="expired", refused="expired"),
        *people,
        *(replace(p, name=f"{p.name} without the scope") for p in people if p.role == KEY),
    ]


def _without_scope(
    principal: Principal, operation: Operation, sample: Sample, table: Operations
) -> Principal:
    if not principal.name.endswith("without the scope"):
        return principal
    taken = {row.scopes.get(principal.kind, "") for row in _rows(operation, sample, table)}
    left = set(principal.claims["scope"].split()) - taken
    return replace(principal, claims={**principal.claims, "scope": " ".join(sorted(left))})


def _tenants(world: World, operation: Operation, principal: Principal) -> list[Tenant]:
    if operation.of_an_organization:
        return [world.tenants["absent"], *(t for t in world.tenants.values() if t.name != "absent")]
    return [world.tenants[principal.tenant or "acme"]]


def _rows(operation: Operation, sample: Sample, table: Operations) -> list[Row]:
    return [table.rows[name] for name in (operation.name, sample.also) if name in table.rows]


def sees(principal: Principal, tenant: Tenant) -> bool:
    """Whether the organization exists for them."""
    same = tenant.name == principal.tenant
    return same or (principal.kind == "provider" and tenant.provider == principal.tenant)


def wanted(
    operation: Operation, sample: Sample, principal: Principal, tenant: Tenant, table: Operations
) -> Wanted:
    """The expected response, in the contract's order: authentication, existence, permission,
    state."""
    question = (operation, sample, principal, tenant, table)
    if sample.group == "public":
        return Wanted(frozenset({OK, "401", "404"}))
    if principal.refused:
        return UNKNOWN
    is_elsewhere = tenant.name != principal.tenant
    if not sees(principal, tenant) or (sample.group == "leave" and is_elsewhere):
        return REFUSED if sample.group == "leave" and not _may(*question) else ABSENT
    if not _may(*question):
        return REFUSED
    if _lacks(operation, sample, tenant):
        return ABSENT
    if not _reaches(sample, principal, tenant):
        return REFUSED
    return (
        _in_state(sample.group, tenant) if operation.of_an_organization else Wanted(frozenset({OK}))
    )


def _in_state(group: str, tenant: Tenant) -> Wanted:
    return (
        _read(_ROOT[group])
        if tenant.kind == "provider" and group in _ROOT
        else _states()[group][tenant.status]
    )


def _may(
    operation: Operation, sample: Sample, principal: Principal, tenant: Tenant, table: Operations
) -> bool:
    act = principal.claims.get("act")
    caller = {
        "kind": principal.kind,
        "role": principal.role,
        "acting": act is not None,
        "scope": frozenset(str(principal.claims.get("scope", "")).split()),
    }
    names = [name for name in (operation.name, sample.also) if name]
    looks_only = bool(act) and act["access"] == "read" and operation.method != "GET"
    own = operation.name.startswith(("me.", "session."))
    return all(table.allows(name, **caller) for name in names) and (own or not looks_only)


def _reaches(sample: Sample, principal: Principal, tenant: Tenant) -> bool:
    """What the contract says of persons and not of roles: in the provider's own organization
    neither support nor a program changes anybody, and only the owner gives the ownership away; what
    is offered to one member, no other accepts, and an admin takes no offer of the owner back."""
    if sample.group == "accept":
        return principal.name == f"{tenant.name}:target"
    if tenant.name != "provider":
        return sample.group != "owner" or principal.kind == "provider" or principal.role != "admin"
    return not (
        sample.group in ("member", "members") and principal.role in ("support", "api_key")
    ) and not (sample.group == "owner" and principal.role != "owner")


def _lacks(operation: Operation, sample: Sample, tenant: Tenant) -> bool:
    """Whether there is no such thing in this organization; the provider's own has no account."""
    money = (
        re.search(r"/\{organization_id\}/(account|invoices|payments)\b", operation.path) is not None
    )
    things = [(sample.ids or {}).get(name, name) for name in operation.parameters]
    return (money and tenant.kind == "provider") or any(
        name not in tenant.things and name != "current" for name in things
    )


@functools.cache
def _states() -> dict[str, dict[str, Wanted]]:
    head, *lines = (
        [part.strip() for part in line.split("|")] for line in STATES.strip().splitlines()
    )
    return {
        name: {state: _read(expected) for state, expected in zip(head[1:], cells, strict=True)}
        for name, *cells in lines
    }


def _read(expected: str) -> Wanted:
    statuses, _, code = expected.partition(" ")
    return Wanted(frozenset(statuses.split(",")), code)


def shown(answer: TestResponse) -> tuple[Any, ...]:
    """What an answer says, without what names the request."""
    body: dict[str, Any] = (
        json.loads(answer.text) if answer.mimetype.endswith("json") else {"text": answer.text}
    )
    return (
        answer.status,
        sorted(answer.headers),
        {name: value for name, value in body.items() if name != "instance"},
    )


@dataclass
class Run:
    """What was requested so far, and which responses were wrong."""

    world: World
    requests: int = 0
    leaks: list[str] = field(default_factory=list)

    def all(self, selected: Iterable[Cell]) -> None:
        """Request each. What is denied is requested first, all of one principal at once, and must
        change nothing; what is allowed is undone after each. Everyone has authenticated recently,
        however long it takes."""
        system, until = self.world.system, clock.now()
        for principal, group in itertools.groupby(selected, key=lambda cell: cell.principal.name):
            if clock.now() >= until:
                self.world.reauthenticate_everyone()
                snapshot, before = Snapshot(system), system.digest()
                until = clock.now() + timedelta(minutes=1)
            denied, allowed = [], []
            for cell in group:
                (allowed if cell.wanted.lets_in else denied).append(cell)
            absent: dict[int, TestResponse] = {}
            for cell in denied:
                self._deny(cell, absent)
            self.leaks += [
                f"changed by what {principal} was denied: {table}"
                for table in _changed(system, before)
            ]
            snapshot.restore()
            for cell in allowed:
                self._ask(cell)
                if cell.operation.method != "GET":
                    snapshot.restore()

    def _deny(self, cell: Cell, absent: dict[int, TestResponse]) -> None:
        answer = self._ask(cell)
        if cell.wanted == ABSENT and not sees(cell.principal, cell.tenant):
            first = absent.setdefault(id(cell.sample), answer)
            if shown(answer) != shown(first):
                self.leaks.append(f"{cell}: tells that it exists: {answer.text[:200]}")

    def _ask(self, cell: Cell) -> TestResponse:
        self.requests += 1
        answer = ask(self.world, cell)
        if not cell.wanted.fits(answer):
            self.leaks.append(
                f"{cell}: {answer.status_code} instead of {cell.wanted}: {answer.text[:200]}"
            )
        if cell.sample.group != "public":
            self.leaks += [
                f"{cell}: tells of {word}"
                for word in foreign_words(self.world, cell.principal, answer)
            ]
        return answer


def ask(world: World, cell: Cell) -> TestResponse:
    """Send the cell's request."""
    headers = {"X-Request-Id": "matrix"}
    if cell.operation.method == "POST":
        headers["Idempotency-Key"] = secrets.token_hex(8)
    return world.system.call(
        cell.operation.method,
        cell.path,
        cell.sample.body(cell.tenant),
        token=world.token(cell.principal),
        headers=headers,
    )


def foreign_words(world: World, principal: Principal, answer: TestResponse) -> list[str]:
    """The words of organizations they know nothing of; customers know their provider."""
    mine = {principal.tenant, world.tenants[principal.tenant].provider if principal.tenant else ""}
    text = answer.text.lower() if answer.mimetype != "application/pdf" else ""
    return [
        t.word
        for t in world.tenants.values()
        if t.name not in mine and not sees(principal, t) and t.word in text
    ]


def _changed(system: System, before: dict[str, str]) -> list[str]:
    after = system.digest()
    return [table for table in after if after[table] != before.get(table)]
