"""JSON that is read in one way only, and texts that every database can store."""

import math
from typing import Any

import pytest
from chassis import strict_json


@pytest.mark.parametrize(
    "text",
    ["NaN", "-Infinity", "1e309", "-1e309", '{"a": [1.5e400]}', '{"a": 1, "a": 1}', "9" * 5000],
)
def test_what_libraries_disagree_about_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        strict_json.loads(text)


def test_numbers_within_range_are_read() -> None:
    numbers = strict_json.loads("[1.5, -1.7e308, 1e-400, 9007199254740993]")

    assert numbers == [1.5, -1.7e308, 0.0, 9007199254740993]


@pytest.mark.parametrize(
    ("value", "is_storable"),
    [
        ("a", True),
        ("é 😀 \\u0000", True),
        (None, True),
        (math.pi, True),
        ("a\0", False),
        ("\udfff", False),
        ([1, ["\0"]], False),
        ({"a": {"b": "\ud800"}}, False),
        ({"a\0": 1}, False),
    ],
)
def test_a_value_is_storable_if_all_its_texts_are(value: Any, is_storable: bool) -> None:
    assert strict_json.is_storable(value) is is_storable
