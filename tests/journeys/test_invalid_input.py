"""Invalid input at the public address is refused clearly and changes nothing."""

import base64
import json
import secrets
import threading
import time
from typing import Any

import pytest
import urllib3
from chassis.runtime import ids
from devtools.processes import System
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, OKPKey

from tests import customers

POOL = urllib3.PoolManager(retries=False, timeout=120)
GOOD = customers.organization()


def changed(**fields: Any) -> bytes:
    return json.dumps(GOOD | fields).encode()


BODIES = [
    *(
        pytest.param(changed(**{field: wrong}), 422, f"/{field}", id=f"{field} {wrong!r}")
        for field in (
            "name",
            "country",
            "currency",
            "timezone",
            "pricing_model",
            "billing",
            "owner",
        )
        for wrong in (1, None, [], True)
    ),
    pytest.param(changed(name="x"), 422, "/name", id="a name of one character"),
    pytest.param(changed(name="x" * 256), 422, "/name", id="a name of 256"),
    pytest.param(changed(name="Fun \U0001f600"), 422, "/name", id="emoji"),
    pytest.param(changed(name="a\x00b"), 422, "/name", id="NUL"),
    pytest.param(changed(name="a, b"), 422, "/name", id="comma"),
    pytest.param(changed(currency="XXZ"), 422, "/currency", id="no such currency"),
    pytest.param(changed(country="XX"), 422, "/country", id="no such country"),
    pytest.param(changed(timezone="Mars/Base"), 422, "/timezone", id="no such zone"),
    pytest.param(changed(demo=1), 422, "/demo", id="a number for a flag"),
    pytest.param(changed(role="owner"), 422, "/role", id="unknown field"),
    pytest.param(changed(id="org_x"), 422, "/id", id="read-only field"),
    pytest.param(
        changed(payment_mode="postpaid"), 422, "/credit_limit", id="postpaid without a limit"
    ),
    pytest.param(changed(name="x" * 70_000), 413, None, id="70 kB"),
    pytest.param(b'{"name": "x"', 400, None, id="broken JSON"),
    pytest.param(b'{"name": "a", "name": "b"}', 400, None, id="duplicate keys"),
    pytest.param(b'{"name": NaN}', 400, None, id="NaN"),
    pytest.param(b"[" * 20_000, 400, None, id="depth"),
    pytest.param(b"\xff\xfe", 400, None, id="not UTF-8"),
    pytest.param(b"[]", 400, None, id="an array"),
    pytest.param(b"", 400, None, id="nothing"),
]
AMOUNTS = [
    100,
    1.5,
    None,
    "",
    "1e3",
    "0.0000001",
    "-0",
    "0",
    "-1.00",
    "1" * 20,
    " 1",
    "1.",
    ".5",
    "+1",
    "1,00",
    "NaN",
    "١",
]


@pytest.fixture(scope="module")
def token(system: System) -> str:
    return customers.sign_in_as_admin(system.address, system.password)._token


def send(
    system: System, method: str, path: str, body: bytes | None, **headers: str
) -> tuple[int, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    headers = {"Content-Type": "application/json"} | named
    response = POOL.request(method, system.address + path, body=body, headers=headers)
    if response.status == 413:
        POOL.clear()  # an unread body closes the connection
    assert response.headers["X-Request-Id"]
    if response.status >= 400:
        assert response.headers["Content-Type"].startswith("application/problem+json"), (
            response.data
        )
    return response.status, json.loads(response.data) if response.data else None


@pytest.mark.parametrize(("body", "status", "pointer"), BODIES)
def test_an_invalid_organization_is_refused(
    system: System, token: str, body: bytes, status: int, pointer: str
) -> None:
    received, problem = send(
        system, "POST", "/v1/organizations", body, Authorization=f"Bearer {token}"
    )

    assert received == status, problem
    if pointer:
        assert any(e["pointer"].startswith(pointer) for e in problem["errors"]), problem


def test_another_content_type_is_refused(system: System, token: str) -> None:
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "multipart/form-data",
    ):
        received, _ = send(
            system,
            "POST",
            "/v1/organizations",
            changed(),
            Authorization=f"Bearer {token}",
            Content_Type=kind,
        )
        assert received == 415, kind


def test_invalid_amounts_change_nothing(system: System) -> None:
    api = customers.sign_in_as_admin(system.address, system.password)
    path = customers.open_customer(api)
    customers.transact(api, path, "top-ups", "10.00")
    before = api.call("GET", f"{path}/account/transactions").body

    for what in ("top-ups", "charges", "withdrawals"):
        for amount in AMOUNTS:
            response = customers.transact(api, path, what, amount)  # type: ignore[arg-type]
            assert response.status == 422, (what, amount, response)

    assert api.call("GET", f"{path}/account/transactions").body == before
    missing = send(
        system,
        "POST",
        f"{path}/account/top-ups",
        b'{"amount": "1", "method": "cash"}',
        Authorization=f"Bearer {api._token}",
    )
    assert (missing[0], missing[1]["code"]) == (400, "idempotency_key_required")


def test_foreign_and_malformed_ids_are_not_found(system: System, token: str) -> None:
    for organization in (
        ids.new("org"),
        ids.new("mem"),
        "org_1",
        "org_" + "z" * 26,
        "%00",
        "..%2f",
        "ORG_" + "0" * 26,
    ):
        for tail in ("", "/account", "/members", "/deletion", "/timeline"):
            received, _ = send(
                system,
                "GET",
                f"/v1/organizations/{organization}{tail}",
                None,
                Authorization=f"Bearer {token}",
            )
            assert received == 404, (organization, tail)


def test_one_key_in_parallel_has_one_effect(system: System) -> None:
    api = customers.sign_in_as_admin(system.address, system.password)
    path = customers.open_customer(api)
    customers.transact(api, path, "top-ups", "100.00")
    key, responses = secrets.token_hex(8), []

    threads = [
        threading.Thread(
            target=lambda: responses.append(
                customers.transact(api, path, "charges", "1.00", key=key)
            )
        )
        for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {a.status for a in responses} <= {201, 409}
    assert len({a.body["id"] for a in responses if a.status == 201}) == 1
    assert api.call("GET", f"{path}/account").body["balance"] == "99.00"
    other = customers.transact(api, path, "charges", "2.00", key=key)
    assert (other.status, other.body["code"]) == (422, "idempotency_key_reused")


def test_forged_and_expired_tokens_are_refused(system: System, token: str) -> None:
    head, claims, signature = token.split(".")
    payload = json.loads(base64.urlsafe_b64decode(claims + "=="))
    published = KeySet.import_key_set(
        json.loads(POOL.request("GET", f"{system.address}/.well-known/jwks.json").data)
    )
    public = next(iter(published.keys))
    foreign = OKPKey.generate_key("Ed25519")

    def packed(part: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")

    def signed(key: Any, algorithm: str, **other: Any) -> str:
        header = {"alg": algorithm, "typ": "at+jwt", "kid": public.kid}
        return jwt.encode(header, payload | other, key, algorithms=[algorithm])

    changed_claims = payload | {"role": "owner", "org": ids.new("org")}
    attacks = {
        "alg none": f"{packed({'alg': 'none', 'typ': 'at+jwt'})}.{claims}.",
        "HS256 with the public key": signed(
            OctKey.import_key(json.dumps(public.as_dict(private=False))), "HS256"
        ),
        "another key": signed(foreign, "Ed25519"),
        "expired, another key": signed(foreign, "Ed25519", exp=time.time() - 60),
        "another audience": signed(foreign, "Ed25519", aud="elsewhere"),
        "claims changed": f"{head}.{packed(changed_claims)}.{signature}",
        "signature cut": f"{head}.{claims}.{signature[:-4]}",
        "nothing": "",
    }
    for name, forged in attacks.items():
        for base in (system.address, system.url_of("org")):
            response = POOL.request(
                "GET", f"{base}/v1/organizations", headers={"Authorization": f"Bearer {forged}"}
            )
            assert response.status == 401, (name, base)


def test_internal_endpoints_are_not_reachable(system: System, token: str) -> None:
    for path in (
        "/internal/revocations",
        "/v1/../internal/revocations",
        "/v1/%2e%2e/internal/openapi.json",
    ):
        received, _ = send(system, "GET", path, None, Authorization=f"Bearer {token}")
        assert received == 404, path
