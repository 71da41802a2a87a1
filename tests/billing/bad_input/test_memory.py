"""Values of usage records are kept for the next records only if they are valid and short."""

import tracemalloc
from datetime import UTC, datetime

import pytest
from billing.schemas import usage
from chassis.runtime import clock, ids

LONG = "0" * 100_000
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value"),
    [("organization_id", "org_{}"), ("at", "2026-03-01T12:00:{}Z"), ("description", "{}")],
)
def test_long_values_of_records_are_not_kept(name: str, value: str) -> None:
    record = {
        "id": "r",
        "organization_id": ids.new("org"),
        "amount": "1",
        "at": clock.stamp(NOW),
        "description": "Calls",
    }
    tracemalloc.start()
    try:
        for number in range(30):
            record[name] = value.format(f"{number:02}.{LONG}")
            with pytest.raises(usage.BadRecord):
                usage.read_record(record, provider_id="", always=False, now=NOW)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 10 * len(LONG)
