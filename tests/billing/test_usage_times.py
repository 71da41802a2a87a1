"""When usage may have happened, and what becomes of times that were accepted before that rule."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pypdf
import pytest
from billing import actions
from billing.actions.usage.records import UsageRecord
from billing.listeners import BATCHES
from billing.values import UNIT
from chassis.auth.actor import SYSTEM
from chassis.errors import Invalid
from chassis.http import instants
from chassis.runtime import clock, ids
from contracts import usage
from werkzeug.test import TestResponse

from tests.billing.conftest import World

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
TICK = timedelta(microseconds=1)
OLDEST, LATEST = NOW - timedelta(days=400), NOW + timedelta(hours=1)
ACCEPTED = [
    clock.stamp(OLDEST),
    clock.stamp(LATEST),
    "2026-12-01t16:59:59.9999999+08:00",
    "2026-12-01T08:00:00z",
    "2026-12-01T08:00:00-00:00",
]
OUTSIDE = [
    clock.stamp(OLDEST - TICK),
    clock.stamp(LATEST + TICK),
    "0026-11-29T09:00:00Z",
    "2099-01-01T00:00:00Z",
    "9998-12-31T23:59:59Z",
    "0000-02-29T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "2016-12-31T23:59:60Z",
    "2026-12-01T18:00:01+08:00",
]
MALFORMED = [
    "26-11-29T09:00:00Z",
    "2026-12-01",
    "2026-12-01T08:00Z",
    "2026-12-01 08:00:00Z",
    "2026-12-01T08:00:00",
    "2026-12-01T08:00:00,5Z",
    "2026-W49-2T08:00:00Z",
    "20261201T080000Z",
    "2026-02-29T08:00:00Z",
    "2026-12-01T24:00:00Z",
    "2026-12-01T08:00:60Z",
    "2026-12-01T08:00:00+24:00",
    "2026-12-01T08:00:00+01:60",
    "2026-12-01T08:00:00." + "0" * 60 + "Z",
    "２026-12-01T08:00:00Z",
    "",
    7,
    None,
]


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def record(org: str, at: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": ids.new("evt"),
        "organization_id": org,
        "amount": "1",
        "at": at,
        "description": "Calls",
        **more,
    }


def call(world: World, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
    issued = int(NOW.timestamp())
    token = world.token(iat=issued, nbf=issued, exp=issued + 300)
    return world.call(method, path, body, token=token, **headers)


def send(world: World, records: list[Any]) -> Any:
    response = call(world, "POST", "/v1/usage", {"records": records})
    assert response.status_code == 200, response.json
    return response.json


def test_usage_that_is_too_old_or_in_the_future_is_refused_alone(world: World) -> None:
    org = world.open("postpaid", limit="100")
    refused = [record(org, at) for at in OUTSIDE]
    outcome = send(world, [*refused, *(record(org, at) for at in ACCEPTED)])

    assert outcome["accepted"] == len(ACCEPTED)
    assert outcome["refused"] == [
        {"id": each["id"], "code": "invalid_at", "index": index}
        for index, each in enumerate(refused)
    ]
    again = send(world, [{**refused[0], "at": clock.stamp(NOW)}])
    assert again["accepted"] == 1, "the id of a refused record may be used again"


def test_a_malformed_time_is_an_invalid_record(world: World) -> None:
    org = world.open("postpaid", limit="100")
    outcome = send(world, [*(record(org, at) for at in MALFORMED), record(org, ACCEPTED[0])])

    assert outcome["accepted"] == 1
    for at, refusal in zip(MALFORMED, outcome["refused"], strict=True):
        assert refusal["code"] == "invalid_record", at
        assert [(error["pointer"], error["code"]) for error in refusal["errors"]] == [
            ("/at", "instant")
        ]


def test_the_errors_of_an_invalid_record_name_its_fields(world: World) -> None:
    whole = record(world.open(), ACCEPTED[0])
    missing = {name: value for name, value in whole.items() if name not in ("at", "amount")}
    unknown = {**whole, "a/b": 1}
    crowded = {**whole, **{f"x{n}": 1 for n in range(5000)}}
    refused = send(world, [missing, unknown, 7, crowded])["refused"]

    named = [[(error["pointer"], error["code"]) for error in each["errors"]] for each in refused]
    assert {each["code"] for each in refused} == {"invalid_record"}
    assert named[:3] == [
        [("/amount", "required"), ("/at", "required")],
        [("/a~1b", "unknown_field")],
        [("/", "object")],
    ]
    assert len(named[3]) == 10


def test_messages_have_the_same_limits() -> None:
    def read(at: str) -> UsageRecord:
        message = usage.Recorded(
            provider_id=ids.new("org"),
            organization_id=ids.new("org"),
            id="r1",
            amount="1.00",
            at=at,
            description="a call",
        )
        made: UsageRecord = BATCHES[usage.Recorded].read(message)
        return made

    assert [read(at).at for at in ACCEPTED[:2]] == [OLDEST, LATEST]
    for at, code in (
        (OUTSIDE[0], "invalid_at"),
        (OUTSIDE[1], "invalid_at"),
        ("x", "invalid_record"),
    ):
        with pytest.raises(Invalid, match=code):
            read(at)


def test_instants_are_read_in_utc() -> None:
    assert instants.read("2026-12-01t16:59:59.1234567+08:00") == datetime(
        2026, 12, 1, 8, 59, 59, 123456, UTC
    )
    assert instants.read("2026-06-30T23:59:60Z") == instants.NEVER


@pytest.mark.parametrize(
    ("stored", "shown", "printed"),
    [
        (datetime(26, 11, 29, 9, tzinfo=UTC), "0026-11-29T09:00:00.000000Z", "29 Nov 0026"),
        (datetime(1, 1, 2, tzinfo=UTC), "0001-01-02T00:00:00.000000Z", "2 Jan 0001"),
        (datetime(9998, 12, 31, tzinfo=UTC), "9998-12-31T00:00:00.000000Z", "31 Dec 9998"),
    ],
)
def test_times_stored_before_are_shown_with_four_digits(
    world: World, stored: datetime, shown: str, printed: str
) -> None:
    org = world.open("postpaid", limit="100")
    old = UsageRecord(world.provider_id, ids.new("evt"), org, UNIT, stored, "Calls")
    with world.database.transaction() as session:
        actions.record_usage(session, records=[old], now=NOW, by=SYSTEM)
    account = f"/v1/organizations/{org}"

    (transaction,) = call(world, "GET", f"{account}/account/transactions").json["data"]
    assert transaction["occurred_at"] == shown
    table = call(world, "GET", f"{account}/account/transactions", Accept="text/csv").text
    assert f",{shown}," in table
    invoice = call(world, "POST", f"{account}/invoices", {}).json
    read = call(world, "GET", f"{account}/invoices/{invoice['id']}")
    assert read.json["lines"][0]["occurred_at"] == shown
    pdf = call(world, "GET", f"{account}/invoices/{invoice['id']}.pdf")
    assert pdf.status_code == 200
    (page,) = pypdf.PdfReader(io.BytesIO(pdf.data)).pages
    assert printed in page.extract_text()
    assert " 26 " not in page.extract_text()
