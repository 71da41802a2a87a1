"""How the distributed system stops. Runs after all other tests of it (tests/distribution.py)."""

from devtools.processes import System


def test_every_role_stops_cleanly_on_sigterm(system: System) -> None:
    codes = system.stop()

    assert codes.keys() == set(system.names)
    assert set(codes.values()) == {0}, codes
