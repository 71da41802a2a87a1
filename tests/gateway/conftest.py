"""A gateway in this process in front of fake services."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from chassis.runtime.settings import Secret
from clientele import registry
from flask import Flask
from gateway.app import close_app, create_app
from gateway.clients import InProcess
from gateway.config import Settings
from gateway.guard import limits
from werkzeug.test import Client

from tests.gateway.fakes import SECRET, Fake


@dataclass
class World:
    """A gateway and the services behind it."""

    app: Flask
    client: Client
    org: Fake
    billing: Fake
    membership: Fake

    @property
    def forwarded(self) -> list[str]:
        """The requests that have reached a service."""
        return [
            f"{fake.name} {seen.method} {seen.target}"
            for fake in (self.org, self.billing, self.membership)
            for seen in fake.seen
        ]


Build = Callable[..., World]


def settings(**other: Any) -> Settings:
    standard = {
        "registry": str(registry.FILE),
        "public_url": "https://api.example.com",
        "internal_secret": Secret(SECRET),
        "feed_poll_s": 0.02,
        "readiness_s": 0.0,
    }
    return Settings(**{**standard, **other})


@pytest.fixture(autouse=True)
def long_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of one test are counted together, however long it takes."""
    monkeypatch.setattr(limits, "_PUBLIC_WINDOW", 86_400)


@pytest.fixture
def build() -> Iterator[Build]:
    """Builds gateways with these settings and upstreams; closes all of them at the end."""
    apps: list[Flask] = []

    def make(ways: Any = None, downloads_of: Any = None, others: Any = None, **other: Any) -> World:
        fakes = {name: Fake(name) for name in ("org", "billing", "membership")}
        app = create_app(
            settings(**other),
            {**{n: InProcess(f) for n, f in fakes.items()}, **(ways or {})},
            others,
            downloads_of,
        )
        apps.append(app)
        return World(app, Client(app, use_cookies=False), **fakes)

    yield make
    for app in apps:
        close_app(app)


@pytest.fixture
def world(build: Build) -> World:
    """A gateway with default settings."""
    return build()
