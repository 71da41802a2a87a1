"""What the console takes from the proxy in front of it, and what it logs."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from chassis.db import migrations
from chassis.db.database import Database
from chassis.http.client import ServiceResponse
from chassis.runtime import log
from chassis.runtime.settings import Secret
from console.app import MIGRATIONS, create_app
from console.config import Settings
from werkzeug.test import Client

PROXY, ELSEWHERE = "10.1.0.7", "10.2.0.7"


class Gateway:
    """Refuses every request, and remembers its headers."""

    def __init__(self) -> None:
        self.received: list[Mapping[str, str]] = []

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> ServiceResponse:
        self.received.append(headers)
        problem = {"code": "not_found", "detail": "Not found.", "status": 404}
        return ServiceResponse(
            404, {"Content-Type": "application/problem+json"}, json.dumps(problem).encode()
        )


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def client(gateway: Gateway, tmp_path: Path) -> Iterator[Client]:
    url = f"sqlite:///{tmp_path / 'console.db'}"
    migrations.upgrade(MIGRATIONS, url)
    database = Database(url)
    settings = Settings(
        database_url=Secret(url),
        gateway_url="",
        public_url="http://localhost",
        trusted_proxies="10.1.0.0/16",
    )
    made: Any = gateway
    yield Client(create_app(settings, database, made), use_cookies=False)
    database.close()


@pytest.mark.parametrize(
    ("peer", "forwarded", "believed"),
    [
        (PROXY, "7.7.7.7", "7.7.7.7"),
        (PROXY, "6.6.6.6, 7.7.7.7", "7.7.7.7"),
        (PROXY, "", PROXY),
        (ELSEWHERE, "6.6.6.6", ELSEWHERE),
    ],
)
def test_only_the_proxy_says_who_the_client_is(
    client: Client, gateway: Gateway, peer: str, forwarded: str, believed: str
) -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}

    client.get("/verify/some-token", headers=headers, environ_overrides={"REMOTE_ADDR": peer})

    assert [one["X-Forwarded-For"] for one in gateway.received] == [believed]


def test_paths_and_cookies_of_pages_are_not_logged(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    log.start(service="console")

    client.get(
        "/verify/mailed-secret?next=typed-secret", headers={"Cookie": "clientele=cookie-secret"}
    )

    logged = capsys.readouterr().err
    assert '"event": "request"' in logged and "secret" not in logged
