"""Which path is routed to which service; everything else is not found."""

from urllib.parse import unquote

import pytest

from tests.gateway.conftest import World
from tests.gateway.fakes import ORG, bearer

O = f"/v1/organizations/{ORG}"  # noqa: E741
ROUTED = {
    "org": [
        "/v1/organizations",
        O,
        f"{O}/suspend",
        f"{O}/activate",
        f"{O}/deletion-check",
        f"{O}/deletion",
        f"{O}/timeline",
        f"{O}/audit",
        "/v1/settings",
    ],
    "billing": [
        f"{O}/account",
        f"{O}/account/top-ups",
        f"{O}/account/reservations/res_1/capture",
        f"{O}/invoices",
        f"{O}/account/transactions/txn_1/reverse",
        f"{O}/account/payment-method",
        f"{O}/invoices/inv_1/credit-notes",
        f"{O}/invoices/inv_1",
        f"{O}/invoices/inv_1.pdf",
        f"{O}/invoices/inv_1/void",
        f"{O}/payments/pay_1",
        f"{O}/closing-statement",
        "/v1/usage",
        "/v1/wallet",
        "/v1/wallet/top-ups",
        "/v1/wallet/transactions",
        "/v1/wallet/transactions/txn_1/reverse",
        "/v1/ledger/proof",
    ],
    "membership": [
        f"{O}/members",
        f"{O}/members/mem_1/login-as",
        f"{O}/ownership-transfers/x/accept",
        f"{O}/remote-support/grt_1/enter",
        "/v1/sessions",
        "/v1/sessions/refresh",
        "/v1/sessions/current",
        "/v1/me",
        "/v1/me/totp/confirm",
        "/v1/verifications/tok",
        "/v1/password-resets",
        "/v1/password-resets/tok",
        "/v1/mfa-resets/tok",
        "/v1/api-keys/key_1",
        "/v1/pins/verify",
        "/.well-known/jwks.json",
    ],
}
NOWHERE = [
    "/",
    "/v1",
    "/v2/me",
    "/v1/unknown",
    "/internal/revocations",
    "/internal/openapi.json",
    "/v1/internal/x",
    "/v1/organizations/../internal/revocations",
    "/v1/me/..",
    "/v1/me/../../internal/x",
    "/v1/./me",
    "/v1//me",
    "//v1/me",
    "/v1/me/",
    "/v1/me//x",
    "/v1/%2e%2e/internal/x",
    "/v1/me%2f..%2f..%2finternal",
    "/v1/me%00",
    "/%76%31/me",
    "/v1/organizations%2Forg_1",
    "/v1/me;x=1",
    "/v1/me/%252e%252e/x",
    "/v1/me\\..\\internal",
    "/.well-known/jwks.json/x",
    "/.well-known/x",
    "/v1/meh",
    "/v1/sessionsx",
    "/V1/me",
    "/verify/tok",
    "//healthz",
    "/healthz/",
    "/%68ealthz",
    "/v1/usage\xd9\xa1",
    "/v1/" + "x" * 3000,
]


@pytest.mark.parametrize(
    ("service", "path"), [(s, p) for s, paths in ROUTED.items() for p in paths]
)
def test_each_path_reaches_its_service_unchanged(world: World, service: str, path: str) -> None:
    answer = world.client.get(f"{path}?limit=5&q=a%20b", headers=bearer())
    assert answer.status_code == 200
    assert world.forwarded == [f"{service} GET {path}?limit=5&q=a%20b"]


@pytest.mark.parametrize("path", NOWHERE)
@pytest.mark.parametrize("source", ["raw", "decoded"])
def test_everything_else_is_404_and_reaches_no_service(
    world: World, path: str, source: str
) -> None:
    if source == "raw":
        answer = world.client.open(
            path="/",
            headers=bearer(),
            environ_overrides={"RAW_URI": path, "PATH_INFO": unquote(path, "latin1")},
        )
    else:
        answer = world.client.open(
            path="/",
            headers=bearer(),
            environ_overrides={"RAW_URI": "", "REQUEST_URI": "", "PATH_INFO": path},
        )
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"
    assert answer.json["code"] == "not_found"
    assert answer.headers["X-Request-Id"]
    assert world.forwarded == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_are_left_to_the_services(world: World, method: str) -> None:
    world.org.status, world.org.headers = "405 Method Not Allowed", [("Allow", "GET, HEAD")]
    answer = world.client.open("/v1/settings", method=method, headers=bearer())
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
