"""Pages: what is no call of the API goes to the console, with what a browser says about itself, and
without a token."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from chassis.runtime import log
from gateway.clients import HttpUpstream, InProcess

from tests.gateway.conftest import Build, World
from tests.gateway.fakes import Fake, bearer, serve, until

SHOWN = {
    "Accept-Encoding": "gzip",
    "Cookie": "clientele=a",
    "Host": "localhost",
    "Origin": "http://localhost",
    "Sec-Fetch-Site": "same-origin",
    "HX-Request": "true",
    "HX-Current-URL": "/at/x/home",
    "X-CSRF-Token": "t",
    "X-Dialog": "1",
    "Referer": "http://localhost/at/x",
    "Accept": "text/html",
    "User-Agent": "Lynx/2",
    "X-Request-Id": "req-1",
}
KEPT_BACK = {
    "Authorization": "Bearer x",
    "X-Forwarded-For": "6.6.6.6",
    "X-Real-Ip": "6.6.6.6",
    "Connection": "close",
}
NO_PAGE = [
    "/v1",
    "/v1/unknown",
    "/internal/x",
    "/internal",
    "/.well-known/x",
    "/sign-in/",
    "//sign-in",
    "/a/../b",
    "/%73ign-in",
    "/at/..",
    "/.git",
]


@pytest.fixture
def console() -> Fake:
    return Fake("console", headers=[("Content-Type", "text/html")], body=b"<h1>Hello</h1>")


@pytest.fixture(params=["in process", "over HTTP"])
def way(request: pytest.FixtureRequest, console: Fake) -> Iterator[Any]:
    if request.param == "in process":
        yield InProcess(console)
        return
    address, end = serve(console)
    yield HttpUpstream(address)
    end()


@pytest.fixture
def world(build: Build, way: Any) -> World:
    return build({"console": way})


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/sign-in",
        "/at/org_1/customers",
        "/static/abc123/vendor/htmx.min.js",
        "/verify/tok",
        "/v2/me",
        "/V1/me",
        "/v1x",
    ],
)
def test_a_page_is_the_consoles(world: World, console: Fake, path: str) -> None:
    answer = world.client.get(f"{path}?q=a%20b")

    assert (answer.status_code, answer.data) == (200, b"<h1>Hello</h1>")
    assert [seen.target for seen in console.seen] == [f"{path}?q=a%20b"]
    assert world.forwarded == []


@pytest.mark.parametrize("path", NO_PAGE)
def test_what_is_no_page_reaches_nobody(world: World, console: Fake, path: str) -> None:
    answer = world.client.open(path="/", environ_overrides={"RAW_URI": path, "PATH_INFO": path})

    assert (answer.status_code, console.seen, world.forwarded) == (404, [], [])


def test_the_console_hears_what_browsers_say_and_no_token(world: World, console: Fake) -> None:
    world.client.get(
        "/at/org_1/home", headers=SHOWN | KEPT_BACK, environ_overrides={"REMOTE_ADDR": "7.7.7.7"}
    )
    [seen] = console.seen
    heard = {name.replace("_", "-"): value for name, value in seen.headers.items()}

    assert {name: heard.pop(name.upper(), None) for name in SHOWN} == SHOWN
    assert heard.pop("X-FORWARDED-FOR") == "7.7.7.7", "who asked, as the gateway knows it"
    assert heard.keys() & {name.upper() for name in KEPT_BACK} == set()


def test_cookies_and_the_policies_of_a_page_come_back_and_a_calls_do_not(
    world: World, console: Fake
) -> None:
    own = [
        ("Set-Cookie", "a=1; Path=/"),
        ("Set-Cookie", "b=2; Path=/"),
        ("Content-Security-Policy", "x"),
        ("X-Location", "/at/x"),
        ("HX-Replace-Url", "/at/y"),
        ("HX-Redirect", "/at/z"),
        ("X-Frame-Options", "DENY"),
        ("Location", "/sign-in"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    ]
    console.headers, world.org.headers = [*own, ("Server", "x"), ("X-Powered-By", "x")], own

    page, call = world.client.get("/sign-in"), world.client.get("/v1/settings", headers=bearer())

    assert [pair for pair in page.headers if pair in own] == own
    assert set(page.headers.keys()) & {"Server", "X-Powered-By"} == set()
    assert [name for name, value in call.headers if (name, value) in own] == ["Location"]


def test_an_address_may_open_so_many_pages(build: Build, console: Fake) -> None:
    world = build({"console": InProcess(console)}, page_rate=3)

    answers = [world.client.get("/static/a.css") for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert world.client.get("/v1/settings", headers=bearer()).status_code == 200, (
        "calls are counted by themselves"
    )


def test_people_are_told_in_words_where_the_console_is_away(build: Build, console: Fake) -> None:
    world = build({})

    page = world.client.get("/at/<script>", headers={"Accept": "text/html,*/*"})
    call = world.client.get("/v1/me", headers={"Accept": "text/html"})

    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "<script>" not in page.text and "There is nothing here." in page.text
    assert call.content_type == "application/problem+json", "a call is answered as every call"


def test_a_console_that_does_not_answer_is_told_in_words(build: Build) -> None:
    world = build({"console": HttpUpstream("http://127.0.0.1:9")})

    page = world.client.get("/sign-in", headers={"Accept": "text/html"})

    assert (page.status_code, page.mimetype, page.headers["Retry-After"]) == (503, "text/html", "1")
    assert world.client.get("/v1/settings", headers=bearer()).status_code == 200


def test_paths_and_cookies_of_pages_are_not_logged(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    log.start(service="gateway")
    world.client.get(
        "/verify/mailed-secret?next=typed-secret", headers={"Cookie": "clientele=cookie-secret"}
    )

    logged = capsys.readouterr().err
    assert '"route": "pages"' in logged and "secret" not in logged


def test_pages_take_half_of_the_threads_so_that_the_console_is_answered(
    build: Build, console: Fake
) -> None:
    going_on = threading.Event()

    def slowly() -> Iterator[bytes]:
        going_on.wait(10)
        yield b"<h1>Hello</h1>"

    console.body = slowly
    world = build({"console": InProcess(console)}, web_threads=4)
    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(world.client.get, "/home", buffered=True) for _ in range(2)]
        until(lambda: len(console.seen) == 2)

        further, call = (
            world.client.get("/home"),
            world.client.get("/v1/settings", headers=bearer()),
        )
        going_on.set()

        assert (further.status_code, further.headers["Retry-After"], call.status_code) == (
            503,
            "1",
            200,
        )
        assert [page.result().data for page in made] == [b"<h1>Hello</h1>"] * 2
    again = [world.client.get("/home", buffered=True).status_code for _ in range(5)]
    assert again == [200] * 5, "each gave its seat back"


def test_a_page_that_fails_gives_its_seat_back(build: Build) -> None:
    world = build({"console": HttpUpstream("http://127.0.0.1:9")}, web_threads=2)

    told = [world.client.get("/home").json["detail"] for _ in range(3)]

    assert not [words for words in told if "Too many" in words]
