"""The table of permissions: who may do what."""

import pytest
from chassis.auth.permissions import Operations


def test_the_table_decides_who_may() -> None:
    table = Operations.parse("""
    # comment
    thing.read  | x x x x x | x x - | x | t:read own:read   # another
    thing.write | ! - - - - | - - - | - | t:write -
    """)

    def may(operation: str, kind: str, role: str, acting: bool = False) -> bool:
        return table.allows(operation, kind=kind, role=role, acting=acting)

    assert may("thing.read", "provider", "viewer")
    assert may("thing.read", "customer", "admin", acting=True)
    assert not may("thing.read", "customer", "member")
    assert may("thing.write", "provider", "owner")
    assert not may("thing.write", "provider", "owner", acting=True)
    assert not may("thing.write", "customer", "owner")
    assert not may("thing.read", "customer", "nobody")
    assert not may("thing.read", "nowhere", "owner")
    assert table.requires_step_up("thing.write", kind="provider", role="owner")
    assert not table.requires_step_up("thing.read", kind="provider", role="owner")
    with pytest.raises(KeyError):
        may("thing.other", "provider", "owner")


def test_an_api_key_may_do_only_what_its_scopes_allow() -> None:
    table = Operations.parse("""
    thing.read  | x x x x x | x x - | x | t:read  own:read
    thing.write | x - - - - | x - - | - | t:write -
    """)

    def may(operation: str, kind: str, *scope: str) -> bool:
        return table.allows(operation, kind=kind, role="api_key", scope=frozenset(scope))

    assert may("thing.read", "provider", "t:read", "t:write")
    assert may("thing.read", "customer", "own:read")
    assert not may("thing.read", "provider", "t:write", "own:read")
    assert not may("thing.write", "customer", "t:write", "-")
    assert not may("thing.read", "provider")


@pytest.mark.parametrize(
    "line",
    [
        "a",
        "a | x x x x x | x x x",
        "a | x x x x x | x x x | x",
        "a | x x x x | x x x | x | - -",
        "a | x x x x x | x x x | X | - -",
        "a b | x x x x x | x x x | x | - -",
        "a | x x x x | x x x x | x | - -",
        "a | x x x x x x x x x | - -",
        "a | x x x x x | x x x | x | -",
        "a | x x x x x | x x x | x | - -\na | x x x x x | x x x | x | - -",
        "| x x x x x | x x x | x | - -",
    ],
)
def test_an_invalid_row_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="not a row"):
        Operations.parse(line)
