"""The provider's settings, by requests."""

import json
from datetime import date, timedelta
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


def tax(**other: str) -> dict[str, str]:
    """A tax rate; ``other`` replaces parts of it."""
    return {"country": "DE", "name": "VAT", "rate": "19", "valid_from": "2026-01-01", **other}


def test_too_many_tax_rates_are_a_validation_error(world: World) -> None:
    def change(letter: str, count: int) -> int:
        first = date(2026, 1, 1)
        rates = [
            {**tax(name=letter * 50), "valid_from": str(first + timedelta(days=number))}
            for number in range(count)
        ]
        body = json.dumps({"tax_rates": rates}, ensure_ascii=False, separators=(",", ":")).encode()
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


@pytest.mark.parametrize(
    ("rates", "overlapping"),
    [
        ([tax(), tax(rate="16")], [1]),
        ([tax(), tax(name=" vat "), tax(country="FR"), tax()], [1, 3]),
        ([tax(), tax(valid_from="2025-01-01"), tax(valid_from="2025-01-01")], [2]),
        ([tax(), tax(name="Levy"), tax(country="FR"), tax(valid_from="2026-01-02")], []),
    ],
)
def test_a_tax_has_one_rate_from_a_day_on(
    world: World, rates: list[dict[str, str]], overlapping: list[int]
) -> None:
    response = world.call("PATCH", "/settings", {"tax_rates": rates})

    assert response.status_code == (422 if overlapping else 200)
    assert [(each["pointer"], each["code"]) for each in response.json.get("errors", ())] == [
        (f"/tax_rates/{index}/valid_from", "overlap") for index in overlapping
    ]
    assert len(world.call("GET", "/settings").json["tax_rates"]) == (0 if overlapping else 4)


def test_a_grace_period_of_zero_days_purges_immediately(world: World) -> None:
    from chassis.runtime import clock
    from org import sagas

    world.call("PATCH", "/settings", {"deletion_grace_days": 0})
    world.schedule_deletion(world.active())

    assert world.run(sagas.purge_due, now=clock.now()) == 1
