"""What is forwarded and what is not; limits; request ids; unavailable services."""

import json
from collections.abc import Iterator
from contextvars import ContextVar
from io import BytesIO
from threading import Event
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import limits.storage.memory
import pytest
from chassis.errors import Unavailable
from gateway.clients import HttpUpstream, InProcess

from tests.gateway.conftest import Build, World
from tests.gateway.fakes import ORG, Fake, bearer, serve, token
from tests.waiting import until

PASSED = {
    "Accept": "text/csv",
    "Accept-Language": "de",
    "Content-Type": "application/json",
    "If-Match": '"a"',
    "Idempotency-Key": "k-1",
    "If-None-Match": '"b"',
    "Prefer": "wait=3",
    "User-Agent": "Lynx/2",
    "X-Browser-Id": "k" * 43,
    "X-Request-Id": "req-1",
}
STOPPED = {
    "X-Forwarded-For": "6.6.6.6",
    "Forwarded": "for=6.6.6.6",
    "Cookie": "a=b",
    "X-Real-Ip": "6.6.6.6",
    "X-Organization-Id": "org_x",
    "X-Http-Method-Override": "DELETE",
    "Connection": "close, X-Request-Id",
    "Te": "trailers",
    "Upgrade": "h2c",
    "Proxy-Authorization": "Basic eA==",
    "Range": "bytes=0-1",
    "Accept-Encoding": "gzip",
    "X-Original-Url": "/internal/x",
}


@pytest.fixture(params=["in process", "http"])
def ways(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A fake billing and its upstream, over each transport."""
    fake = Fake("billing")
    if request.param == "in process":
        yield fake, InProcess(fake)
    else:
        url, end = serve(fake)
        yield fake, HttpUpstream(url)
        end()


def test_only_known_headers_pass(build: Build, ways: Any) -> None:
    billing, way = ways
    world = build({"billing": way})
    given = bearer()
    world.client.post(
        "/v1/usage?a=1&b=%2F", data=b'{"x":1}', headers={**PASSED, **STOPPED, **given}
    )
    (seen,) = billing.seen
    assert (seen.method, seen.target, seen.body) == ("POST", "/v1/usage?a=1&b=%2F", b'{"x":1}')
    wanted = {name.upper().replace("-", "_"): value for name, value in {**PASSED, **given}.items()}
    assert wanted.items() <= seen.headers.items()
    let_through = {"HOST", "USER_AGENT", "ACCEPT_ENCODING", "CONTENT_LENGTH", "X_FORWARDED_FOR"}
    assert set(seen.headers) - set(wanted) <= let_through
    assert not set(STOPPED.values()) & set(seen.headers.values())


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("q=M\xc3\xbcller", "Müller"),
        ("q=a%20b%", "a b%"),
        ("q=50%&x=1", "50%"),
        ("q=a%2Bb+c", "a+b c"),
        ("q=%C3%BC", "ü"),
        ("q=(a|b)[1]~*'", "(a|b)[1]~*'"),
    ],
)
def test_a_search_query_arrives_unchanged_over_both_transports(
    build: Build, ways: Any, query: str, read: str
) -> None:
    billing, way = ways
    world = build({"billing": way})
    world.client.get("/v1/usage", headers=bearer(), environ_overrides={"QUERY_STRING": query})
    (seen,) = billing.seen
    assert parse_qs(seen.target.partition("?")[2], keep_blank_values=True)["q"] == [read]


def test_only_known_headers_come_back(build: Build, ways: Any) -> None:
    billing, way = ways
    billing.status = "201 Created"
    billing.headers = [
        ("Content-Type", "application/json"),
        ("ETag", '"v1"'),
        ("Location", "/v1/x"),
        ("Idempotent-Replayed", "true"),
        ("Retry-After", "3"),
        ("X-Request-Id", "other"),
        ("Set-Cookie", "a=b"),
        ("Server", "secret/1.0"),
        ("X-Powered-By", "y"),
        ("Allow", "GET"),
    ]
    answer = build({"billing": way}).client.get(
        "/v1/wallet", headers={**bearer(), "X-Request-Id": "mine"}
    )
    assert answer.status_code == 201
    assert {"ETag", "Location", "Idempotent-Replayed", "Retry-After", "Allow"} <= set(
        answer.headers.keys()
    )
    assert not {"Set-Cookie", "Server", "X-Powered-By"} & set(answer.headers.keys())
    assert answer.headers.getlist("X-Request-Id") == ["mine"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_services_own_cache_control_is_kept(world: World) -> None:
    world.membership.headers = [("Cache-Control", "public, max-age=300")]
    assert world.client.get("/v1/me", headers=bearer()).headers.getlist("Cache-Control") == [
        "public, max-age=300"
    ]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1.2:3_X", True), ("a" * 129, False), ("a b", False), ("", False), ("<script>", False)],
)
def test_the_request_id_is_the_callers_if_valid(world: World, given: str, kept: bool) -> None:
    answer = world.client.get("/v1/me", headers={**bearer(), "X-Request-Id": given})
    assert (answer.headers["X-Request-Id"] == given) is kept
    assert world.membership.seen[0].headers["X_REQUEST_ID"] == answer.headers["X-Request-Id"]
    missing = world.client.get("/nothing", headers={"X-Request-Id": given})
    assert (missing.headers["X-Request-Id"] == given) is kept


def test_a_long_response_is_streamed(build: Build, ways: Any) -> None:
    billing, way = ways
    produced: list[int] = []

    def lines() -> Iterator[bytes]:
        for number in range(200):
            produced.append(number)
            yield b"x" * 20_000

    billing.headers, billing.body = [("Content-Type", "text/csv")], lines
    answer = build({"billing": way}).client.get("/v1/wallet", headers=bearer(), buffered=False)
    chunks = answer.iter_encoded()
    assert len(next(chunks)) > 0
    if isinstance(way, InProcess):
        assert len(produced) < 10, "it is not gathered first"
    assert sum(map(len, chunks)) > 200 * 20_000 - 70_000
    answer.close()


def test_a_response_that_breaks_off_cuts_the_connection(build: Build) -> None:
    fake = Fake(
        "billing", headers=[("Content-Length", "5000000")], body=lambda: iter([b"x" * 1000])
    )
    url, end = serve(fake)
    answer = build({"billing": HttpUpstream(url)}).client.get(
        "/v1/wallet", headers=bearer(), buffered=False
    )
    with pytest.raises(Unavailable):
        b"".join(answer.iter_encoded())
    end()


def test_an_unavailable_service_is_503_for_its_routes_only(build: Build) -> None:
    url, end = serve(Fake("billing"))
    end()
    world = build({"billing": HttpUpstream(url)})
    answer = world.client.get("/v1/wallet", headers=bearer())
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert (answer.json["code"], answer.headers["Retry-After"]) == ("service_unavailable", "1")
    assert answer.json["instance"].startswith("/v1/wallet#")
    assert world.client.get("/v1/settings", headers=bearer()).status_code == 200
    ready = world.client.get("/readyz")
    assert (ready.status_code, ready.json["checks"]["billing"]) == (503, "Unavailable")
    assert ready.json["checks"]["org"] == "ok"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_service_that_takes_too_long_is_503_without_a_retry(build: Build, method: str) -> None:
    done, fake = Event(), Fake("billing")

    def slow(environ: Any, start_response: Any) -> Any:
        answer = fake(environ, start_response)
        if not environ["PATH_INFO"].startswith(("/internal", "/readyz")):
            done.wait(60)
        return answer

    url, end = serve(slow)
    client = build({"billing": HttpUpstream(url, read=0.1)}).client
    answer = client.open("/v1/wallet/top-ups", method=method, headers=bearer())
    until(lambda: fake.seen)
    done.set()
    end()
    assert (answer.status_code, answer.json["code"]) == (503, "service_unavailable")
    assert "Idempotency-Key" in answer.json["detail"]
    assert len(fake.seen) == 1


def test_a_crash_is_a_problem_without_details(build: Build) -> None:
    class Broken(InProcess):
        def forward(self, method: str, target: str, *more: Any) -> Any:
            if target == "/v1/settings":
                raise RuntimeError("secret detail")
            return super().forward(method, target, *more)

    answer = build({"org": Broken(Fake("org"))}).client.get("/v1/settings", headers=bearer())
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert b"secret" not in answer.data


@pytest.mark.parametrize(
    ("path", "limit"), [("/v1/organizations", 64 * 1024), ("/v1/usage", 4 * 1024 * 1024)]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_are_limited_before_they_are_forwarded(
    world: World, path: str, limit: int, chunked: bool
) -> None:
    def post(size: int) -> Any:
        source = BytesIO(b"x" * size)
        more: dict[str, Any] = {"CONTENT_LENGTH": str(size)}
        if chunked:
            more = {
                "CONTENT_LENGTH": "",
                "HTTP_TRANSFER_ENCODING": "chunked",
                "wsgi.input_terminated": True,
            }
        answer = world.client.post(
            path, headers=bearer(), environ_overrides={"wsgi.input": source, **more}
        )
        return answer, source.tell()

    assert post(limit)[0].status_code == 200
    answer, read = post(limit * 3)
    assert (answer.status_code, answer.json["code"]) == (413, "too_large")
    assert read <= limit + 1
    assert [len(seen.body) for seen in world.org.seen + world.billing.seen] == [limit]


@pytest.mark.parametrize(
    ("length", "status"), [("-1", 400), ("x", 400), ("+5", 400), ("\xb2", 400), ("100", 400)]
)
def test_a_body_shorter_than_its_content_length_is_400(
    world: World, length: str, status: int
) -> None:
    answer = world.client.post(
        "/v1/organizations",
        headers=bearer(),
        environ_overrides={"CONTENT_LENGTH": length, "wsgi.input": BytesIO(b"short")},
    )
    assert (answer.status_code, world.forwarded) == (status, [])


def test_an_encoded_body_is_415_once_the_token_is_accepted(world: World) -> None:
    zipped = {"Content-Encoding": "gzip"}
    assert world.client.post("/v1/organizations", headers={**bearer(), **zipped}).status_code == 415
    assert (
        world.client.post("/v1/organizations", data=b"x" * 99_999, headers=zipped).status_code
        == 401
    )


def _stand_still(monkeypatch: pytest.MonkeyPatch, at: list[float]) -> None:
    monkeypatch.setattr(limits.storage.memory, "time", SimpleNamespace(time=lambda: at[0]))


def test_an_organization_has_a_rate_limit(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    at = [1_000_000.0]
    _stand_still(monkeypatch, at)
    world = build(rate_per_second=10, rate_burst=50)
    mine, other = bearer(), bearer(org="org_01h455vb4pex5vsknk084sn02q")
    statuses = [world.client.get("/v1/me", headers=mine).status_code for _ in range(51)]
    assert statuses == [200] * 50 + [429]
    answer = world.client.get("/v1/me", headers=mine)
    assert (answer.json["code"], answer.content_type) == (
        "too_many_requests",
        "application/problem+json",
    )
    assert int(answer.headers["Retry-After"]) >= 1
    assert world.client.get("/v1/me", headers=other).status_code == 200
    at[0] += 10
    assert world.client.get("/v1/me", headers=mine).status_code == 200


def test_an_address_has_a_rate_limit_and_cannot_pose_as_another(build: Build) -> None:
    world = build(public_rate=2)

    def read(forwarded: str) -> Any:
        return world.client.get("/readyz", headers={"X-Forwarded-For": forwarded})

    answers = [read(f"10.0.0.{number}") for number in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) >= 1
    assert world.client.get("/v1/me", headers=bearer()).status_code == 200


def test_the_last_address_from_a_known_proxy_is_believed(build: Build) -> None:
    world = build(public_rate=1, trusted_proxies="127.0.0.0/8, 10.0.0.0/8")

    def read(forwarded: str) -> int:
        return world.client.get(
            "/readyz",
            headers={"X-Forwarded-For": forwarded},
            environ_overrides={"REMOTE_ADDR": "127.0.0.1"},
        ).status_code

    assert [read("1.1.1.1"), read("9.9.9.9, 1.1.1.1"), read("1.1.1.1, 2.2.2.2")] == [
        200,
        429,
        200,
    ]


def test_requests_without_a_token_are_counted_by_ipv6_network(build: Build) -> None:
    world = build(public_rate=1)

    def read(peer: str) -> int:
        return world.client.get("/readyz", environ_overrides={"REMOTE_ADDR": peer}).status_code

    peers = ("2001:db8:0:7::1", "2001:db8:0:7::2", "2001:db8:0:8::1")
    assert [read(peer) for peer in peers] == [200, 429, 200]


def test_nothing_secret_is_logged(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    from chassis.runtime import log

    log.start(service="gateway")
    secret = token()
    world.client.get("/v1/me?q=canary-query", headers={"Authorization": f"Bearer {secret}"})
    world.client.post(
        "/v1/sessions", data=b'{"password":"canary-body"}', headers={"Cookie": "canary-cookie"}
    )
    for path in (
        "/v1/verifications/canary-mail",
        "/v1/password-resets/canary-mail",
        "/verify/canary-mail",
        "/v1/verifications//canary-mail",
        "/reset/canary-mail",
        "/v1/me/../canary-mail",
    ):
        world.client.get(path)
    world.client.get("/v1/me", headers={"Authorization": "Bearer canary-token"})
    written = capsys.readouterr().err
    assert "canary" not in written
    assert secret.split(".")[2] not in written
    lines = [json.loads(line) for line in written.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) == 9
    assert requests[0]["route"] == "/v1/me"
    assert (
        requests[2] | {"route": "/v1/verifications", "status": 200, "method": "GET"} == requests[2]
    )
    assert all(line["request_id"] and line["ms"] >= 0 for line in requests)


def test_an_application_in_this_process_has_a_context_of_its_own() -> None:
    from flask import Flask, g, request, stream_with_context

    caller: ContextVar[str] = ContextVar("caller")
    inner, outer = Flask("inner"), Flask("outer")

    @inner.get("/stream")
    def stream() -> Any:
        def lines() -> Iterator[str]:
            yield caller.get("nobody")
            for number in range(3):
                yield f"{request.path}{number}\n"

        return stream_with_context(lines()), {"Content-Type": "text/plain"}

    with outer.test_request_context("/outer"):
        g.mine = 1
        caller.set("outer")
        answer = InProcess(inner).send("GET", "/stream?x=1", {"Accept": "text/plain"})
        assert (answer.status, answer.body) == (200, b"nobody/stream0\n/stream1\n/stream2\n")
        assert answer.headers["content-type"] == "text/plain"
        assert (request.path, g.mine) == ("/outer", 1)


def test_readiness_names_every_service(world: World) -> None:
    assert world.client.get("/readyz").json["checks"] == dict.fromkeys(
        ["org", "billing", "membership", "revocations of membership", "revocations of org"], "ok"
    )
    world.org.ready = False
    answer = world.client.get("/readyz")
    assert (answer.status_code, answer.json["checks"]["org"]) == (503, "Unavailable")
    assert world.client.get("/healthz").status_code == 200
    assert ORG not in answer.text


def test_what_is_not_behind_the_gateway_is_reported_but_does_not_count(build: Build) -> None:
    def away() -> None:
        raise ConnectionError

    world = build(others={"console": away})

    answer = world.client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json["others"] == {"console": "ConnectionError"}
    assert "console" not in answer.json["checks"]


def test_the_gateway_itself_works_while_a_service_does_not(world: World) -> None:
    world.billing.ready = False

    assert world.client.get("/readyz").status_code == 503
    assert set(world.app.extensions["readiness"].outcome().values()) == {"ok"}


def test_the_gateway_is_ready_before_its_first_request(world: World) -> None:
    assert set(world.app.extensions["readiness"].outcome().values()) == {"ok"}
