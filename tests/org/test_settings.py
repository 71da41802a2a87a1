"""The provider's settings, by requests."""

import json
from typing import Any

import pytest
from contracts import org

from tests.org.conftest import World

pytestmark = pytest.mark.both_databases


def test_if_match_guards_settings(world: World) -> None:
    read = world.call("GET", "/settings").headers["ETag"]

    def change(days: int, tag: str) -> Any:
        return world.call(
            "PATCH", "/settings", {"payment_terms_days": days}, headers={"If-Match": tag}
        )

    changed = change(7, read)
    assert (changed.status_code, change(8, read).status_code) == (200, 412)
    assert changed.headers["ETag"] == world.call("GET", "/settings").headers["ETag"] != read
    assert world.call("GET", "/settings").json["payment_terms_days"] == 7


def test_too_many_tax_rates_are_a_validation_error(world: World) -> None:
    def change(letter: str, count: int) -> int:
        rate = {"country": "DE", "name": letter * 50, "rate": "19", "valid_from": "2026-01-01"}
        body = json.dumps(
            {"tax_rates": [rate] * count}, ensure_ascii=False, separators=(",", ":")
        ).encode()
        sent = {"Authorization": f"Bearer {world.token()}", "Content-Type": "application/json"}
        return world.client.open(
            "/v1/settings", method="PATCH", data=body, headers=sent
        ).status_code

    assert [change(letter, 300) for letter in "éö"] == [200, 200]
    assert [change(letter, 395) for letter in "éö"] == [422, 422]


@pytest.mark.parametrize(
    "body",
    [
        {"deletion_grace_days": 366},
        {"deletion_grace_days": -1},
        {"deletion_grace_days": "30"},
        {"payment_terms_days": 1.5},
        {"invitations_per_hour": 0},
        {"invitations_per_hour": 10_001},
        {"low_credit_threshold": 20},
        {"low_credit_threshold": "-1"},
        {"invoicing": "never"},
        {"managed_service": "yes"},
        {"tax_rates": [{"country": "XX", "name": "VAT", "rate": "19", "valid_from": "2026-01-01"}]},
        {
            "tax_rates": [
                {"country": "DE", "name": "VAT", "rate": "101", "valid_from": "2026-01-01"}
            ]
        },
        {"tax_rates": [{"country": "DE", "name": "VAT", "rate": "19", "valid_from": "2026-02-30"}]},
        {"other": 1},
    ],
    ids=str,
)
def test_invalid_settings_are_422(world: World, body: Any) -> None:
    assert world.call("PATCH", "/settings", body).status_code == 422
    assert world.published(org.SettingsChanged) == []


def test_a_grace_period_of_zero_days_purges_immediately(world: World) -> None:
    from chassis.runtime import clock
    from org import sagas

    world.call("PATCH", "/settings", {"deletion_grace_days": 0})
    world.schedule_deletion(world.active())

    assert world.run(sagas.purge_due, now=clock.now()) == 1
