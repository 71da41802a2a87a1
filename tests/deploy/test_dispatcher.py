"""One address for API and pages in the embedded mode: what goes to the console, and with what."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from chassis.http import networks
from chassis.runtime import log
from chassis.runtime.settings import Secret
from clientele import embedded, installation
from clientele.dispatcher import Dispatcher
from clientele.installation import Installation
from gateway import app as gateway_app
from gateway.clients import InProcess
from werkzeug.test import Client

PAGES = [
    "/",
    "/sign-in",
    "/at/org_1/customers",
    "/static/abc123/vendor/htmx.min.js",
    "/verify/tok",
    "/v2/me",
    "/V1/me",
    "/v1x",
]
NOT_PAGES = [
    "/v1",
    "/v1/me",
    "/v1/unknown",
    "/healthz",
    "/readyz",
    "/internal/x",
    "/internal",
    "/.well-known/x",
    "/sign-in/",
    "//sign-in",
    "/a/../b",
    "/%73ign-in",
    "/%2fv1/me",
    "/at/..",
    "/.git",
    "/" + "x" * 3000,
]
MISTYPED = ["//sign-in", "//sign-in/", "/.git/", "/%73ign-in", "/at/..", "/.git"]

SLASHED = {
    "/sign-in/": "/sign-in",
    "/at/org_1/": "/at/org_1",
    "/at/org_1/customers//?q=a/": "/at/org_1/customers?q=a/",
}


class App:
    """Remembers its requests."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.requests.append(environ)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Set-Cookie", "a=1")])
        return [self.name.encode()]


class Front:
    """A dispatcher between two applications."""

    def __init__(self, page_rate: int = 1000, proxies: str = "") -> None:
        self.gateway, self.console = App("gateway"), App("console")
        trusted = networks.parse(proxies)
        app = Dispatcher(self.gateway, self.console, page_rate=page_rate, trusted_proxies=trusted)
        self.client = Client(app, use_cookies=False)

    def get(self, path: str, peer: str = "127.0.0.1", **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        plain, _, query = path.partition("?")
        environ = {"RAW_URI": path, "PATH_INFO": plain, "REMOTE_ADDR": peer, "QUERY_STRING": query}
        return self.client.get("/", headers=sent, environ_overrides=environ)


@pytest.fixture
def front() -> Front:
    return Front()


@pytest.mark.parametrize("path", PAGES)
def test_pages_go_to_the_console(front: Front, path: str) -> None:
    response = front.get(path)

    assert (response.text, response.headers["Set-Cookie"]) == ("console", "a=1")
    assert front.gateway.requests == []


@pytest.mark.parametrize("path", NOT_PAGES)
def test_everything_else_goes_to_the_gateway(front: Front, path: str) -> None:
    assert front.get(path).text == "gateway"
    assert front.console.requests == []


@pytest.mark.parametrize("path", MISTYPED)
def test_a_browser_gets_a_page_for_a_mistyped_address(front: Front, path: str) -> None:
    response = front.get(path, Accept="text/html,application/xhtml+xml,*/*;q=0.8")

    assert (response.status_code, response.mimetype) == (404, "text/html")
    assert "There is no page at this address" in response.text
    assert front.gateway.requests == front.console.requests == []


@pytest.mark.parametrize("path", SLASHED)
def test_a_browser_is_redirected_from_an_address_that_ends_with_a_slash(
    front: Front, path: str
) -> None:
    response = front.get(path, Accept="text/html,*/*;q=0.8")

    assert (response.status_code, response.headers["Location"]) == (308, SLASHED[path])
    assert front.gateway.requests == front.console.requests == []


@pytest.mark.parametrize("path", ["/v1/unknown", "/healthz", "/.well-known/jwks.json"])
def test_a_browser_may_open_the_api(front: Front, path: str) -> None:
    assert front.get(path, Accept="text/html").text == "gateway"


def test_the_query_decides_nothing(front: Front) -> None:
    assert front.get("/sign-in?next=/v1/me").text == "console"
    assert front.get("/v1/me?x=/sign-in").text == "gateway"


def test_the_console_gets_no_token(front: Front) -> None:
    front.get("/sign-in", Authorization="Bearer x", Cookie="clientele=a")
    front.get("/v1/me", Authorization="Bearer x")

    [page], [call] = front.console.requests, front.gateway.requests
    assert "HTTP_AUTHORIZATION" not in page and page["HTTP_COOKIE"] == "clientele=a"
    assert call["HTTP_AUTHORIZATION"] == "Bearer x"


def test_an_address_may_open_a_limited_number_of_pages() -> None:
    front = Front(page_rate=3)

    responses = [front.get("/static/a.css") for _ in range(5)]

    assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
    refused = responses[-1]
    assert refused.mimetype == "text/html" and "reload the page" in refused.text
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["Cache-Control"] == "no-store"
    assert front.get("/v1/settings").status_code == 200, "API requests are not counted here"
    assert front.get("/static/a.css", peer="127.0.0.2").status_code == 200


@pytest.mark.parametrize(("proxies", "status"), [("", 429), ("127.0.0.0/8", 200)])
def test_only_a_proxy_says_who_the_client_is(proxies: str, status: int) -> None:
    front = Front(page_rate=1, proxies=proxies)
    front.get("/sign-in", X_Forwarded_For="1.1.1.1")

    assert front.get("/sign-in", X_Forwarded_For="6.6.6.6, 2.2.2.2").status_code == status


def test_an_embedded_system_believes_the_proxies_of_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRUSTED_PROXIES", raising=False)
    default = installation.settings_of(Installation(tmp_path, 1))
    monkeypatch.setenv("TRUSTED_PROXIES", "127.0.0.1")
    trusting = installation.settings_of(Installation(tmp_path, 1))

    for name in ("gateway", "console"):
        assert (default[name].trusted_proxies, trusting[name].trusted_proxies) == ("", "127.0.0.1")


def test_the_console_in_the_same_process_is_believed() -> None:
    app = App("gateway")
    InProcess(app).send("GET", "/v1/me", {"X-Forwarded-For": "203.0.113.7"})
    [environ] = app.requests

    assert networks.client_address((), environ) == "203.0.113.7"


def test_pages_are_counted_by_ipv6_network() -> None:
    front = Front(page_rate=1)

    peers = ("2001:db8:0:7::1", "2001:db8:0:7::2", "2001:db8:0:8::1")
    statuses = [front.get("/sign-in", peer=peer).status_code for peer in peers]

    assert statuses == [200, 429, 200]


def test_the_greeting_names_where_mail_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = Installation(tmp_path, 1)
    settings = embedded.prepare(at)["membership"]
    places = {
        f"file://{at.mail}": str(at.mail),
        "file:///srv/mail": "/srv/mail",
        "smtp://user:secret@mail.example:587": "mail.example:587",
    }

    for url in places:
        embedded._greet(at, dataclasses.replace(settings, mail_url=Secret(url)))

    printed = capsys.readouterr().out
    lines = [line.split()[-1] for line in printed.splitlines() if "Mail goes to" in line]
    assert lines == list(places.values()) and "secret" not in printed


def test_a_pepper_that_was_renamed_is_the_previous_one(tmp_path: Path) -> None:
    at = Installation(tmp_path, 1)
    old = installation.settings_of(at)["membership"].pepper
    (at.secrets / "pepper").rename(at.secrets / "previous_pepper")

    settings = installation.settings_of(at)["membership"]

    assert settings.pepper != old and settings.peppers == [settings.pepper, old]


def test_an_embedded_system_is_ready_for_the_api_without_the_database_of_its_pages(
    tmp_path: Path,
) -> None:
    log.start(service="clientele")
    settings = embedded.prepare(Installation(tmp_path, 1))
    for file in tmp_path.glob("console.db*"):
        file.unlink()
    (tmp_path / "console.db").mkdir()
    system = embedded.System(settings)

    ready = Client(system, use_cookies=False).get("/readyz")

    gateway_app.close_app(system.apps["gateway"])
    assert (ready.status_code, ready.json["others"]) == (200, {"console": "OperationalError"})
