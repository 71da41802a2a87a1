"""What `make test` leaves to `make test-all`.

Marks of tests and modules:

- ``exhaustive``: a longer or repeated form of a proof that another test gives in short.
- ``every_mode``: run in each deployment mode, also where a parameter of a mode is exhaustive.
- ``both_databases``: the databases may differ here (upserts, paging, posting, migrations), so it is
  run on both. Any other test that is written for both is run on PostgreSQL; on SQLite the journeys,
  the console and the permission matrix ask every route anyway.
"""

import pytest


def reduce(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what is exhaustive."""
    known = {item.nodeid for item in items}
    left_out = [item for item in items if _is_exhaustive(item, known)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        chosen = set(left_out)
        items[:] = [item for item in items if item not in chosen]


def _is_exhaustive(item: pytest.Item, known: set[str]) -> bool:
    if item.get_closest_marker("exhaustive"):
        return item.get_closest_marker("every_mode") is None
    on_postgresql = item.nodeid.replace("sqlite", "postgresql")
    is_second = on_postgresql != item.nodeid and on_postgresql in known
    return is_second and item.get_closest_marker("both_databases") is None
