"""The console's database on either engine, and a browser that uses https."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chassis.db import migrations
from chassis.db.database import Database
from console.app import MIGRATIONS, create_app
from gateway.app import close_app
from gateway.app import create_app as create_gateway
from gateway.clients import InProcess

from tests.console.browser import Browser
from tests.console.system import Whole
from tests.databases import ENGINES, PreparedDatabases, Schema, migrated

SCHEMA = Schema("console", lambda url: migrations.upgrade(MIGRATIONS, url, shared=False))


@pytest.fixture(scope="session")
def prepared_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreparedDatabases]:
    made = PreparedDatabases(tmp_path_factory.mktemp("prepared"))
    yield made
    made.close()


@pytest.fixture(params=ENGINES)
def store(
    request: pytest.FixtureRequest,
    whole: Whole,
    prepared_databases: PreparedDatabases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Database]:
    """The console's database, empty, on either engine."""
    postgres: Callable[[], Any] = lambda: request.getfixturevalue("postgres")
    with migrated(
        SCHEMA,
        request.param,
        prepared_databases=prepared_databases,
        folder=tmp_path,
        postgres=postgres,
        pool_size=30,
    ) as database:
        monkeypatch.setitem(whole.console.extensions, "database", database)
        yield database


@pytest.fixture(scope="session")
def by_https(whole: Whole) -> Iterator[Browser]:
    """A browser that uses https."""
    settings = dataclasses.replace(whole.settings["console"], public_url="https://app.example")
    gateway = create_gateway(whole.settings["gateway"], whole._wires)
    console = create_app(settings, whole.pages, InProcess(gateway))
    yield Browser(whole, "https://app.example", whole.dispatcher(gateway, console))
    close_app(gateway)
