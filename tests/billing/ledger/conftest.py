"""Databases of its own, because the clock runs months ahead here, and a seed that repeats a run."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from billing.app import SERVICE
from chassis.db import migrations
from chassis.db.database import Database
from chassis.runtime import clock

from tests import summary
from tests.billing.ledger.machine import Clock
from tests.databases import be_patient

SEED = int(os.environ.get("LEDGER_SEED") or random.SystemRandom().randrange(10**9))
ran = summary.section("ledger")


@pytest.fixture(scope="session")
def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    path: Path = tmp_path_factory.mktemp("ledger") / "billing.db"
    migrations.upgrade(SERVICE.migrations, f"sqlite:///{path}")
    database = Database(f"sqlite:///{path}", pool_size=8)
    yield database
    database.close()


@pytest.fixture(scope="session")
def postgres_database(postgres: Any) -> Iterator[Database]:
    made = be_patient(postgres, postgres.fresh_database("billing"))
    migrations.upgrade(SERVICE.migrations, made.owner_url)
    database = Database(made.app_url, pool_size=24)
    yield database
    database.close()


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time advances only when a test advances it."""
    monkeypatch.setattr(clock, "now", lambda: Clock.now)
