"""The scene of reconciliation: prepared once, and put back for every test."""

from collections.abc import Iterator

import pytest
from chassis.runtime import log

from tests.identity.system import Snapshot, System
from tests.org.reconciliation.scene import Scene


@pytest.fixture(scope="package")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, Snapshot]]:
    log.start("CRITICAL", service="reconciliation", role="test")
    system = System(tmp_path_factory.mktemp("reconciliation"))
    try:
        scene = Scene(system)
        yield scene, Snapshot(system)
    finally:
        system.close()


@pytest.fixture
def scene(prepared: tuple[Scene, Snapshot]) -> Iterator[Scene]:
    made, snapshot = prepared
    made.begin()
    yield made
    snapshot.restore()
