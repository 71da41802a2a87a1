"""The OpenAPI document is the truth: whatever it allows is taken, whatever it forbids is refused,
and nothing is answered that it does not tell of. ``make fuzz`` asks as three people, by ``FUZZ``
examples for each operation, person and way; without it only a few are tried, as the provider's
owner."""

import os
import secrets
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi import checks

from tests import summary
from tests.identity.system import Snapshot
from tests.identity.world import KINDS, Tenant, World

FULL = "FUZZ" in os.environ
EXAMPLES = int(os.environ.get("FUZZ", "2"))
PEOPLE = ("provider:owner", "acme:owner", "acme:member") if FULL else ("provider:owner",)
# What no schema can say: names in any script, addresses, the ends of the calendar, what fits
# together, what there is.
BEYOND = {
    "characters",
    "link",
    "email",
    "bad_cursor",
    "no_portal_access",
    "required",
    "past",
    "future",
    "currency",
    "unknown_invoice",
    "unknown_transaction",
    "scope",
    "instant",
    "staff_only",
    "api_key",
}
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.positive_data_acceptance,
    checks.missing_required_header,
]


@pytest.fixture
def schema(world: World) -> Any:
    """The document, for one test, which may leave parameters out."""
    document = schemathesis.openapi.from_wsgi("/v1/openapi.json", world.system.gateway)
    document.config.update(base_url="http://localhost")
    return document


@pytest.fixture(scope="module")
def snapshot(world: World) -> Iterator[Snapshot]:
    taken = Snapshot(world.system)
    yield taken
    taken.restore()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("principal", PEOPLE)
def test_requests_and_responses_follow_the_document(
    principal: str,
    mode: GenerationMode,
    world: World,
    schema: Any,
    snapshot: Snapshot,
) -> None:
    problems: list[str] = []
    requests = {}
    for operation in (result.ok() for result in schema.get_all_operations()):
        if mode.is_negative and not _can_be_invalid(operation):
            continue
        try:
            requests[operation.label] = _ask_often(world, operation, principal, mode, snapshot)
        except FailureGroup as problem:
            problems.append(f"{operation.label}: {problem.message}")

    summary.section("permissions").append(
        f"contract: {principal}, {mode.value}: {len(requests)} operations, "
        f"{sum(requests.values())} examples, {len(problems)} findings"
    )
    assert problems == [], "\n\n".join([str(len(problems)), *problems])


def _ask_often(
    world: World, operation: Any, principal: str, mode: GenerationMode, snapshot: Snapshot
) -> int:
    token, requests = world.token(world.principals[principal]), 0
    if mode.is_negative and not _wants_key(operation):
        # A bad header may be ignored there; without any, no example has to be thrown away for it.
        operation.headers.items.clear()

    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    def once(case: Any) -> None:
        nonlocal requests
        requests += 1
        _aim(case, world.tenants["acme"])
        answer = case.call(headers={"Authorization": f"Bearer {token}"})
        if case.method != "GET":
            snapshot.restore()
        case.validate_response(
            answer, checks=CHECKS, excluded_checks=_excluded_checks(case, answer)
        )

    once()
    return requests


def _aim(case: Any, tenant: Tenant) -> None:
    """At things that are there, unless the path is what is wrong."""
    parts = case.meta.components
    if case.path_parameters and not _is_negative(parts.get(ParameterLocation.PATH)):
        known = {name: tenant.thing(name) for name in case.path_parameters if name in KINDS}
        case.path_parameters.update(known)
    if isinstance(case.body, dict):
        case.body = _whole(case.body)
    (case.headers or {}).pop("If-Match", None)  # nobody guesses what the thing is like
    header = parts.get(ParameterLocation.HEADER)
    hypothesis.assume(not _is_negative(header) or _wants_key(case.operation))
    if "Idempotency-Key" in (case.headers or {}) and not _is_negative(header):
        case.headers["Idempotency-Key"] = secrets.token_hex(8)


def _can_be_invalid(operation: Any) -> bool:
    """Whether there is more to get wrong than the ids in the path, which take any text."""
    return bool(list(operation.body) or list(operation.query)) or _wants_key(operation)


def _is_negative(part: Any) -> bool:
    return part is not None and part.mode.is_negative


def _wants_key(operation: Any) -> bool:
    """Elsewhere a key may be ignored, so that a bad one may be, too."""
    return any(p.name == "Idempotency-Key" and p.is_required for p in operation.headers)


def _whole(value: Any) -> Any:
    """JSON Schema takes 1.0 for an integer; we take it for what it looks like."""
    if isinstance(value, dict):
        return {name: _whole(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _excluded_checks(case: Any, answer: Any) -> list[Any]:
    """A bad record among usage is refused alone, in an answer that is good; and what no schema can
    say, is not said."""
    body = answer.json() if "json" in answer.headers.get("content-type", [""])[0] else {}
    if body.get("refused"):
        return [checks.negative_data_rejection]
    errors = body.get("errors", [])
    beyond = [error["code"] in BEYOND or error["pointer"].endswith("password") for error in errors]
    return [checks.positive_data_acceptance] if errors and all(beyond) else []
