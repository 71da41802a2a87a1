"""Ids: one spelling only, sorted by time."""

from typing import Any

import pytest
from chassis.runtime import ids


def test_later_ids_sort_later() -> None:
    made = [ids.new("org") for _ in range(100)]

    assert made == sorted(made)


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
