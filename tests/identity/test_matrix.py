"""Every operation, requested by everyone in every organization: exactly what the services'
permission tables allow is allowed."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from billing.views import account, reservations
from chassis.auth import access
from chassis.auth.permissions import Operations, Row
from werkzeug.test import TestResponse

from tests import summary
from tests.identity import matrix
from tests.identity.matrix import Cell, Operation, Run
from tests.identity.samples import SAMPLES
from tests.identity.system import Snapshot
from tests.identity.world import Tenant, World

# What nobody may say of themselves, wherever else it may stand.
PRIVILEGED = {
    "id": "org_00000000000000000000000000",
    "organization_id": "org_00000000000000000000000000",
    "role": "owner",
    "owner": True,
    "status": "active",
    "balance": "1000000",
    "state": "open",
    "version": 9,
    "is_admin": True,
    "created_at": "2020-01-01T00:00:00Z",
    "act": {"sub": "me"},
    "provider_id": "org_00000000000000000000000000",
}


@pytest.fixture(scope="session")
def offered(world: World) -> list[Operation]:
    return matrix.operations(world.system)


@pytest.fixture(scope="session")
def table() -> Operations:
    """The services' permission tables at the start of the tests."""
    return matrix.tables()


@pytest.fixture
def unchanged(world: World) -> Iterator[None]:
    """Restores the databases after each test."""
    snapshot = Snapshot(world.system)
    world.reauthenticate_everyone()
    yield
    snapshot.restore()


def test_every_operation_has_a_sample(offered: list[Operation]) -> None:
    assert matrix.unsampled(offered) == set()


def test_every_table_row_is_requested(offered: list[Operation], table: Operations) -> None:
    requested = {
        name for o in offered for sample in SAMPLES[o.key] for name in (o.name, sample.also)
    }

    assert set(table.rows) - requested == set()


def test_everyone_is_allowed_exactly_what_the_tables_say(
    world: World, offered: list[Operation], table: Operations, pytestconfig: pytest.Config
) -> None:
    run = Run(world)
    all_cells = matrix.cells(world, offered, table)
    run.all(all_cells if pytestconfig.getoption("exhaustive") else matrix.sampled(all_cells))

    people, places = len(matrix.principals(world)), len(world.tenants)
    summary.section("permissions").append(
        f"matrix: {len(offered)} operations x {people} principals x {places} tenants "
        f"= {run.requests} requests, {len(run.leaks)} leaks"
    )
    assert run.leaks == [], _some(run.leaks)


# ---- ids that belong elsewhere


def test_another_organizations_thing_is_not_found_under_ones_own_path(
    world: World, offered: list[Operation], table: Operations, unchanged: None
) -> None:
    before, problems = world.system.digest(), []
    acme = world.tenants["acme"]
    callers = ("provider:owner", "acme:owner", "remote support, full")
    for cell in matrix.cells(world, _with_things(offered), table, callers):
        if cell.tenant is not acme or cell.sample.ids or not cell.operation.of_an_organization:
            continue
        absent_response = matrix.ask(world, _borrowed(cell, world.tenants["absent"]))
        for other in ("sibling", "foreign", "closing", "deleted", "provider"):
            answer = matrix.ask(world, _borrowed(cell, world.tenants[other]))
            fine = answer.status_code == 404 or (
                answer.status_code == 403 and cell.wanted == matrix.REFUSED
            )
            if not fine or matrix.shown(answer) != matrix.shown(absent_response):
                problems.append(
                    f"{cell} with an id of {other}: {answer.status_code} {answer.text[:200]}"
                )

    assert problems == [], _some(problems)
    assert world.system.digest() == before


@pytest.mark.parametrize(
    "key",
    [
        key
        for key, samples in SAMPLES.items()
        if "{organization_id}" in key
        and any(
            callable(sample.body) and sample.body.__code__.co_names[:1] == ("thing",)
            for sample in samples
        )
    ],
)
def test_a_thing_of_another_organization_is_not_found_in_a_body(
    key: str, world: World, offered: list[Operation], table: Operations, unchanged: None
) -> None:
    operation, before = next(o for o in offered if o.key == key), world.system.digest()
    requests = 0
    for cell in matrix.cells(world, [operation], table, ("provider:owner", "acme:owner")):
        if cell.tenant.name == "acme" and cell.wanted.lets_in:
            for other in ("sibling", "foreign", "deleted"):
                sample = replace(cell.sample, body=_always(cell.sample.body(world.tenants[other])))
                answer = matrix.ask(world, replace(cell, sample=sample))
                requests += 1
                assert answer.status_code in (404, 409, 422), (str(cell), other, answer.text)
                assert matrix.foreign_words(world, cell.principal, answer) == []

    after = world.system.digest()
    assert requests > 0
    assert {name for name in after if after[name] != before[name]} <= {"billing.idempotency_keys"}


def test_usage_of_another_providers_customer_is_refused_like_an_unknown_one(
    world: World, unchanged: None
) -> None:
    before, results = world.system.digest(), []
    token = world.token(world.principals["provider:owner"])
    for name in ("absent", "foreign", "other provider"):
        body = SAMPLES["POST /v1/usage"][0].body(world.tenants[name])
        answer = world.system.call("POST", "/v1/usage", body, token=token)
        results.append(
            (
                answer.status_code,
                answer.json["accepted"],
                [row["code"] for row in answer.json["refused"]],
            )
        )

    assert results == [(200, 0, ["organization_not_found"])] * 3
    assert world.system.digest() == before


@pytest.mark.parametrize("name", ["absent", "foreign", "other provider", "sibling"])
def test_no_session_exchange_into_another_organization(
    name: str, world: World, unchanged: None
) -> None:
    before = world.system.digest()
    for principal in ("acme:owner", "acme:admin", "other provider:owner"):
        if matrix.sees(world.principals[principal], world.tenants[name]):
            continue
        answer = world.system.call(
            "POST",
            "/v1/sessions/exchange",
            {"organization_id": world.tenants[name].id},
            token=world.token(world.principals[principal]),
        )
        assert answer.status_code in (403, 404), (principal, answer.text)
        assert matrix.foreign_words(world, world.principals[principal], answer) == []

    assert world.system.digest() == before


def test_another_persons_session_is_not_found(world: World, unchanged: None) -> None:
    before = world.system.digest()
    for principal in ("acme:admin", "provider:owner", "sibling:owner"):
        sid = world.principals["acme:owner"].claims["sid"]
        answer = world.system.call(
            "DELETE", f"/v1/sessions/{sid}", token=world.token(world.principals[principal])
        )
        assert answer.status_code == 404, (principal, answer.text)

    assert world.system.digest() == before


# ---- properties


@pytest.mark.parametrize("principal", ["provider:owner", "acme:owner"])
def test_privileged_properties_in_a_body_have_no_effect(
    principal: str, world: World, offered: list[Operation], table: Operations, unchanged: None
) -> None:
    before, problems, requests = world.system.digest(), [], 0
    document = world.system.call("GET", "/v1/openapi.json").json
    for cell in matrix.cells(world, _with_bodies(offered, document), table, (principal,)):
        if (
            cell.tenant.name not in (world.principals[principal].tenant, "acme")
            or not cell.wanted.lets_in
        ):
            continue
        allowed = _properties(document, cell.operation)
        for at, body in _poisoned(cell.sample.body(cell.tenant) or {}, allowed):
            answer = matrix.ask(
                world, replace(cell, sample=replace(cell.sample, body=_always(body)))
            )
            requests += 1
            if answer.status_code != 422:
                problems.append(f"{cell} with {at}: {answer.status_code} {answer.text[:200]}")

    assert problems == [], _some(problems)
    assert requests > 50
    assert world.system.digest() == before


# ---- it bites


Change = dict[str, str]


def _row(service: str, name: str, **marks: str) -> tuple[dict[str, Row], Row]:
    rows = import_module(f"{service}.guard").OPERATIONS.rows
    return rows, replace(
        rows[name], marks={**rows[name].marks, **{k.replace("_", ":"): v for k, v in marks.items()}}
    )


@pytest.mark.parametrize(
    ("service", "operation", "marks", "principal"),
    [
        ("billing", "account.read", {"customer_member": "x"}, "acme:member"),
        ("billing", "account.withdraw", {"provider_support": "x"}, "provider:support"),
        ("membership", "support.read", {"customer_member": "x"}, "acme:member"),
        ("membership", "member.remove", {"acting": "x"}, "login as"),
        ("org", "organization.suspend", {"customer_owner": "x"}, "acme:owner"),
    ],
)
def test_a_loosened_row_is_detected(
    service: str,
    operation: str,
    marks: Change,
    principal: str,
    world: World,
    offered: list[Operation],
    table: Operations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, looser = _row(service, operation, **marks)
    monkeypatch.setitem(rows, operation, looser)

    assert _leaks(world, offered, table, operation, principal)


@pytest.mark.parametrize(
    ("service", "operation", "marks", "principal"),
    [
        ("billing", "account.read", {"customer_owner": "-"}, "acme:owner"),
        ("membership", "member.list", {"provider_viewer": "-"}, "provider:viewer"),
        ("org", "organization.read", {"acting": "-"}, "remote support, full"),
    ],
)
def test_a_tightened_row_is_detected(
    service: str,
    operation: str,
    marks: Change,
    principal: str,
    world: World,
    offered: list[Operation],
    table: Operations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, tighter = _row(service, operation, **marks)
    monkeypatch.setitem(rows, operation, tighter)

    assert _leaks(world, offered, table, operation, principal)


def test_a_loosened_scope_is_detected(
    world: World, offered: list[Operation], table: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, row = _row("billing", "account.read")
    monkeypatch.setitem(
        rows, "account.read", replace(row, scopes={**row.scopes, "customer": "org:read"})
    )

    assert _leaks(world, offered, table, "account.read", "acme:key without the scope")


@pytest.mark.parametrize(
    ("module", "operation", "principal"),
    [
        (access, "account.read", "acme:owner"),
        (account, "account.read", "other provider:owner"),
        (account, "account.charge", "other provider:owner"),
        (reservations, "account.reserve", "other provider:owner"),
    ],
)
def test_an_endpoint_without_a_tenant_check_is_detected(
    module: ModuleType,
    operation: str,
    principal: str,
    world: World,
    offered: list[Operation],
    table: Operations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "provider_to_check", lambda organization_id: None)

    assert _leaks(world, offered, table, operation, principal)


def test_an_operation_without_a_sample_is_detected(offered: list[Operation]) -> None:
    new = Operation("POST", "/v1/forgotten", "thing.forget")

    assert matrix.unsampled([*offered, new]) == {"POST /v1/forgotten"}
    assert matrix.unsampled(offered[1:]) == {offered[0].key}


def test_a_change_despite_a_denial_is_detected(
    world: World,
    offered: list[Operation],
    table: Operations,
    unchanged: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Simulates a refusal that comes after the change."""
    from membership.actions import members

    def call(*args: Any, **kwargs: Any) -> TestResponse:
        with world.system.databases["membership"].transaction() as session:
            member_id = world.tenants["acme"].thing("member_id")
            session.get_one(members.Member, member_id).given_name = secrets.token_hex(4)
        return original(*args, **kwargs)

    original = world.system.call
    monkeypatch.setattr(world.system, "call", call)

    leaks = _leaks(world, offered, table, "member.disable", "acme:member")

    assert leaks == ["changed by what acme:member was denied: membership.members"]


def _leaks(
    world: World, offered: list[Operation], table: Operations, operation: str, principal: str
) -> list[str]:
    run = Run(world)
    run.all(matrix.cells(world, [o for o in offered if o.name == operation], table, (principal,)))
    return run.leaks


def _some(problems: list[str]) -> str:
    return "\n".join([f"{len(problems)}:", *problems[:40]])


def _with_things(offered: Iterable[Operation]) -> list[Operation]:
    return [o for o in offered if o.parameters and "token" not in o.parameters]


def _borrowed(cell: Cell, other: Tenant) -> Cell:
    """The same request, for acme's organization, with the ids of another one's things."""
    things = {name: other.thing(name) for name in cell.operation.parameters}
    return replace(cell, sample=replace(cell.sample, ids=things))


def _always(body: Any) -> Callable[[Tenant], Any]:
    return lambda tenant: body


def _with_bodies(offered: Iterable[Operation], document: Any) -> list[Operation]:
    return [o for o in offered if "requestBody" in document["paths"][o.path][o.method.lower()]]


def _properties(document: Any, operation: Operation) -> dict[str, Any]:
    """What the body may hold, with the parts of its parts."""
    content = document["paths"][operation.path][operation.method.lower()]["requestBody"]["content"][
        "application/json"
    ]
    return _resolved(document, content["schema"])


def _resolved(document: Any, schema: Any) -> dict[str, Any]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return {name: _resolved(document, part) for name, part in schema.get("properties", {}).items()}


def _poisoned(body: Any, allowed: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The body with one privileged property more, at its top and in each of its parts."""
    yield from (
        (name, {**body, name: value}) for name, value in PRIVILEGED.items() if name not in allowed
    )
    for part, inner in body.items():
        if isinstance(inner, dict):
            yield from (
                (f"{part}.{at}", {**body, part: changed})
                for at, changed in _poisoned(inner, allowed[part])
            )
