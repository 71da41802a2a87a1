"""Field types of the API."""

from typing import Any

import marshmallow as ma
import pytest
from chassis.http.fields import Stamp, Text, TypeId
from chassis.runtime import ids

from tests.chassis.messages import NOON


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  a  ", "a"),
        ("🎉", "🎉"),
        ("A\u030a", "Å"),
        ("عربى", "عربى"),
        ("x" * 255, "x" * 255),
        ("e" + "\u0301" * 3, "é\u0301\u0301"),
    ],
)
def test_text_is_normalized(given: str, kept: str) -> None:
    assert Text().deserialize(given) == kept


@pytest.mark.parametrize(
    "given", ["", "  ", "a\0b", "a\nb", "a\x7fb", "\ud800", "x" * 256, None, 1, ["a"], {}, True]
)
def test_meaningless_text_is_rejected(given: Any) -> None:
    with pytest.raises(ma.ValidationError):
        Text().deserialize(given)


def test_newlines_are_allowed_only_in_fields_for_lines() -> None:
    assert Text(lines=True).deserialize("a\n\tb") == "a\n\tb"
    with pytest.raises(ma.ValidationError):
        Text(lines=True).deserialize("a\rb")


def test_an_id_in_a_body_must_have_the_right_prefix() -> None:
    good = ids.new("org")

    assert TypeId("org").deserialize(good) == good
    with pytest.raises(ma.ValidationError):
        TypeId("mem").deserialize(good)


@pytest.mark.parametrize(
    "given",
    [
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-01-01T24:00:01Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00",
        "20260101",
        "",
        "now",
        None,
    ],
)
def test_an_instant_needs_a_time_and_a_zone(given: Any) -> None:
    with pytest.raises(ma.ValidationError):
        Stamp().deserialize(given)


def test_an_instant_of_any_zone_is_converted_to_utc() -> None:
    assert Stamp().deserialize("2026-03-01T14:00:00+02:00") == NOON
