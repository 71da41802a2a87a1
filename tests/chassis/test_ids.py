"""Ids: one spelling only, sorted by time."""

import uuid
from typing import Any

import pytest
import uuid_utils
from chassis.runtime import ids
from typeid import TypeID


def test_later_ids_sort_later() -> None:
    made = [ids.new("org") for _ in range(100)]

    assert made == sorted(made)


@pytest.mark.parametrize("value", [0, 1, 2**128 - 1, 0x0198F3A2_7C11_7D3E_9B04_5A6F8E21C0D7])
def test_a_uuid_has_the_id_that_the_library_gives_it(value: int) -> None:
    chosen = uuid.UUID(int=value)
    made = ids.of_uuid("org", chosen)

    assert made == str(TypeID.from_uuid(uuid_utils.UUID(int=value), "org"))
    assert ids.to_uuid("org", made) == chosen


@pytest.mark.parametrize(
    "change",
    [
        lambda i: i.replace("org_", "mem_"),
        str.upper,
        lambda i: i + "\n",
        lambda i: " " + i,
        lambda i: i[:-1],
        lambda i: i + "0",
        lambda i: i[4:],
        lambda i: "_" + i[4:],
        lambda i: i.replace("org_", "org__"),
        lambda i: "org_" + "8" + i[5:],
        lambda i: i[:-1] + "١",
        lambda i: i[:-1] + "u",
        lambda i: i * 1000,
        lambda i: "",
        lambda i: "../" + i,
        lambda i: i.replace("_", "-"),
    ],
)
def test_an_id_has_one_spelling_only(change: Any) -> None:
    good = ids.new("org")

    assert ids.is_id("org", good)
    assert not ids.is_id("org", change(good))
