"""One set of tenants for all tests of access; a test that changes it restores it."""

from collections.abc import Iterator

import pytest
from chassis.runtime import log

from tests.identity.system import System
from tests.identity.world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    log.start("CRITICAL", service="identity", role="test")
    system = System(tmp_path_factory.mktemp("identity"))
    try:
        yield World(system).build()
    finally:
        system.close()
