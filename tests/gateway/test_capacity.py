"""How many requests of each kind a tenant may have at once. A held response is one whose body has
not been read."""

from collections.abc import Iterator
from typing import Any

import pytest
from chassis.runtime.settings import Misconfigured
from gateway.clients import InProcess

from tests.gateway.conftest import Build, World, settings
from tests.gateway.fakes import ORG, Fake, bearer

OTHER = "org_01h455vb4pex5vsknk084sn02q"
CSV = {"Accept": "text/csv"}
MIB = 1024 * 1024


def customer(organization: str = ORG, **other: Any) -> dict[str, str]:
    return bearer(org=organization, kind="customer", **other)


def staff(person: str) -> dict[str, str]:
    return bearer(sub=person)


@pytest.fixture
def streaming(world: World) -> World:
    """A gateway whose services respond with long files."""
    return _streaming(world)


def _streaming(world: World) -> World:
    def lines() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 60_000

    for fake in (world.org, world.billing):
        fake.headers, fake.body = [("Content-Type", "text/csv")], lines
    return world


def get(world: World, path: str, *headers: dict[str, str]) -> Any:
    merged = {name: value for given in headers for name, value in given.items()}
    return world.client.get(path, headers=merged, buffered=False)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (f"/v1/organizations/{ORG}/account/transactions", CSV),
        (f"/v1/organizations/{ORG}/invoices/inv_1.pdf", {}),
        (f"/v1/organizations/{ORG}/audit", CSV),
        ("/v1/ledger", {}),  # known as a stream only by its response
    ],
    ids=["csv", "pdf", "audit", "stream"],
)
def test_a_customer_has_two_downloads_at_once(
    streaming: World, path: str, headers: dict[str, str]
) -> None:
    held = [get(streaming, path, customer(), headers) for _ in range(2)]

    refused = get(streaming, path, customer(sub="idn_2"), headers)

    assert [answer.status_code for answer in held] == [200, 200]
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_at_once")
    assert refused.headers["Retry-After"] == "5"
    assert get(streaming, path, customer(OTHER), headers).status_code == 200
    assert get(streaming, "/v1/me", customer()).status_code == 200, "other requests go on"
    held[0].close()
    assert get(streaming, path, customer(), headers).status_code == 200


def test_staff_have_two_downloads_each_and_sixteen_together(streaming: World) -> None:
    path = f"/v1/organizations/{ORG}/audit"
    held = [get(streaming, path, staff(f"idn_{n // 2}"), CSV) for n in range(15)]
    assert get(streaming, path, staff("idn_0"), CSV).status_code == 429
    held.append(get(streaming, path, staff("idn_7"), CSV))

    refused = get(streaming, path, staff("idn_99"), CSV)

    assert [answer.status_code for answer in held] == [200] * 16
    assert refused.status_code == 429
    assert get(streaming, path, customer(OTHER), CSV).status_code == 200


def test_downloads_of_all_leave_room_for_other_requests(build: Build) -> None:
    world = _streaming(build(downloads=1))
    held = get(world, "/v1/ledger", customer(), CSV)

    refused = get(world, "/v1/ledger", customer(OTHER), CSV)

    assert held.status_code == 200
    assert (refused.status_code, refused.json["code"]) == (503, "service_unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    assert get(world, "/v1/me", customer(OTHER)).status_code == 200


def test_what_is_refused_reaches_no_service(streaming: World) -> None:
    held = [get(streaming, "/v1/ledger", customer(), CSV) for _ in range(2)]
    assert get(streaming, "/v1/ledger", customer(), CSV).status_code == 429
    assert len(streaming.billing.seen) == len(held)


def test_a_download_that_fails_takes_up_nothing(world: World) -> None:
    world.billing.status = "404 Not Found"
    for _ in range(5):
        with get(world, "/v1/ledger", customer(), CSV) as answer:
            assert answer.status_code == 404

    class Broken(InProcess):
        def forward(self, *_: Any) -> Any:
            raise RuntimeError

    world.app.extensions["forwarder"]._downloads["billing"] = Broken(world.billing)
    assert {get(world, "/v1/ledger", customer(), CSV).status_code for _ in range(5)} == {500}


def test_downloads_may_have_a_backend_of_their_own(build: Build) -> None:
    files = Fake("files")
    world = build(downloads_of={"billing": InProcess(files)})

    get(world, "/v1/ledger", customer(), CSV)
    get(world, "/v1/ledger", customer())
    get(world, f"/v1/organizations/{ORG}/audit", customer(), CSV)

    assert [seen.target for seen in files.seen] == ["/v1/ledger"]
    assert [seen.target for seen in world.billing.seen] == ["/v1/ledger"]
    assert len(world.org.seen) == 1


def test_a_tenant_has_a_share_of_the_threads(build: Build) -> None:
    world = build(requests_per_customer=3, requests_per_person=2, requests_per_provider=3)
    held = [get(world, "/v1/me", customer(OTHER)) for _ in range(3)]
    held += [get(world, "/v1/me", staff(person)) for person in ("ann", "ann", "bob")]

    refused = [get(world, "/v1/me", who) for who in (customer(OTHER), staff("ann"), staff("eve"))]

    assert {answer.status_code for answer in held} == {200}
    assert {answer.status_code for answer in refused} == {429}
    third = customer("org_01h455vb4pex5vsknk084sn03q")
    assert get(world, "/v1/me", third).status_code == 200
    assert world.client.post("/v1/sessions").status_code == 200


def test_a_tenant_has_a_share_of_the_uploads(build: Build) -> None:
    world = build(uploads_per_customer=1)

    def upload(who: dict[str, str], size: int = MIB) -> Any:
        return world.client.post("/v1/usage", data=b"x" * size, headers=who, buffered=False)

    held = upload(customer())
    refused = upload(customer())

    assert (held.status_code, refused.status_code) == (200, 429)
    assert upload(customer(OTHER)).status_code == 200
    assert upload(customer(), 1000).status_code == 200, "ordinary bodies are not uploads"
    assert len(world.billing.seen) == 3


def test_a_network_has_a_share_of_requests_without_a_token(build: Build) -> None:
    world = build(requests_per_network=2)

    def sign_in(address: str) -> Any:
        return world.client.post(
            "/v1/sessions", buffered=False, environ_overrides={"REMOTE_ADDR": address}
        )

    held = [sign_in("10.0.0.1") for _ in range(2)]

    assert [answer.status_code for answer in held] == [200, 200]
    assert sign_in("10.0.0.1").status_code == 429
    assert sign_in("10.0.0.2").status_code == 200


def test_a_network_above_its_rate_is_slowed_down_but_not_kept_out(build: Build) -> None:
    world = build(public_rate=3, requests_per_network=4)

    def sign_in(address: str = "10.0.0.1", **options: Any) -> Any:
        return world.client.post(
            "/v1/sessions", environ_overrides={"REMOTE_ADDR": address}, **options
        )

    def refresh() -> Any:
        return world.client.post(
            "/v1/sessions/refresh", environ_overrides={"REMOTE_ADDR": "10.0.0.1"}
        )

    assert {sign_in().status_code for _ in range(6)} == {200}, "one after the other"
    assert refresh().status_code == 200
    held = [sign_in(buffered=False) for _ in range(2)]
    over = refresh()

    assert [answer.status_code for answer in held] == [200, 200]
    assert (over.status_code, over.headers["Retry-After"]) == (503, "1")
    assert sign_in("10.0.0.2").status_code == 200, "another network is not slowed down"
    held[0].close()
    assert refresh().status_code == 200


def test_refused_tokens_are_counted_by_network(build: Build) -> None:
    world = build(public_rate=3)
    bad = {"Authorization": "Bearer invented"}

    statuses = [get(world, "/v1/me", bad).status_code for _ in range(4)]

    assert statuses == [401, 401, 401, 429]
    assert get(world, "/v1/me", customer()).status_code == 200, "a right one is not refused"
    assert world.client.post("/v1/sessions").status_code == 200, "nor is signing in"
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "10.0.0.2"}}
    assert world.client.get("/v1/me", headers=bad, **elsewhere).status_code == 401


@pytest.mark.parametrize("path", ["/readyz", "/v1/openapi.json"])
def test_the_gateways_own_paths_are_limited_by_network(build: Build, path: str) -> None:
    world = build(public_rate=2)

    answers = [world.client.get(path) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].content_type == "application/problem+json"
    assert world.client.get("/healthz").status_code == 200
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "10.0.0.2"}}
    assert world.client.get(path, **elsewhere).status_code == 200


def test_many_who_ask_whether_all_is_ready_make_one_check(build: Build) -> None:
    world = build(readiness_s=3600.0)
    assert world.client.get("/readyz").status_code == 200
    world.org.ready = False

    assert world.client.get("/readyz").status_code == 200


def test_ordinary_requests_need_threads_too() -> None:
    with pytest.raises(Misconfigured, match="WEB_THREADS"):
        settings(web_threads=32)
