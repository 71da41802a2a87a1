"""What a customer sees of support in its audit."""

import json
from typing import Any

import pytest
from contracts import org

from tests.org.conftest import World
from tests.org.history.entries import STELLA, add_entry, audit_rows, csv_rows

pytestmark = pytest.mark.both_databases


def support(world: World, customer: str, **acting: Any) -> str:
    """A row in every part of which staff is named."""
    return add_entry(
        world,
        customer,
        actor={
            "kind": "support",
            "id": "support:sgr_1",
            "label": "Support",
            "acting": STELLA | acting,
        },
        target={"type": "acting", "id": "idn_stella", "label": "By STELLA STAFF"},
        reason="Stella Staff: supports Max",
        changes=[
            {
                "field": "by",
                "before": None,
                "after": {"name": "Stella Staff", "ids": ["idn_stella", "ses_1"]},
            }
        ],
    )


def test_a_customer_sees_support_but_no_names_of_staff(world: World) -> None:
    customer = world.active()
    row_id = support(world, customer)

    for path in ("audit", "timeline"):
        mine, theirs = (
            audit_rows(world, customer, path=path, org=customer)[0],
            audit_rows(world, customer, path=path)[0],
        )
        assert (mine["id"], theirs["id"]) == (row_id, row_id)
        assert mine["actor"] == {"kind": "support", "id": "support", "label": "Support"}
        assert mine["reason"] == "Support: supports Max"
        assert theirs["actor"]["acting"] == STELLA
        assert theirs["reason"] == "Stella Staff: supports Max"
    for seen in (
        *(
            json.dumps(audit_rows(world, customer, path=p, org=customer))
            for p in ("audit", "timeline")
        ),
        json.dumps(csv_rows(world, customer, org=customer)),
    ):
        assert not any(word in seen.casefold() for word in ("stella", "ses_1", "sgr_1")), seen
    assert "Stella Staff" in json.dumps(csv_rows(world, customer))


def test_a_customer_sees_whom_support_acted_as(world: World) -> None:
    customer = world.active()
    add_entry(
        world,
        customer,
        actor={
            "kind": "support",
            "id": "idn_jane",
            "label": "Jane",
            "acting": STELLA | {"mode": "login_as"},
        },
        target={"type": "member", "id": "mem_jane", "label": "Jane"},
    )

    row = audit_rows(world, customer, org=customer)[0]

    assert row["actor"] == {"kind": "support", "id": "support", "label": "Support acting as Jane"}
    assert row["target"]["label"] == "Jane"
    assert csv_rows(world, customer, org=customer)[0]["actor"] == "Support acting as Jane"
    assert csv_rows(world, customer, org=customer)[0]["acting"] == ""
    assert csv_rows(world, customer)[0]["acting"] == "Stella Staff"


def test_support_without_a_name_is_support(world: World) -> None:
    customer = world.active()
    add_entry(
        world,
        customer,
        actor={"kind": "support", "id": "", "label": "", "acting": {}},
        reason="as asked",
    )

    row = audit_rows(world, customer, org=customer)[0]

    assert (row["actor"]["label"], row["reason"]) == ("Support", "as asked")


def test_no_filter_reveals_who_gave_support(world: World) -> None:
    customer = world.active()
    support(world, customer)
    add_entry(world, customer, actor={"kind": "member", "id": "idn_olga", "label": "Olga"})

    def labels(actor: str, **who: Any) -> list[str]:
        return [
            row["actor"]["label"] for row in audit_rows(world, customer, f"actor={actor}", **who)
        ]

    assert [
        labels(a, org=customer) for a in ("idn_stella", "support:sgr_1", "support", "idn_olga")
    ] == [
        [],
        [],
        ["Support"],
        ["Olga"],
    ]
    assert [labels(a) for a in ("idn_stella", "support", "idn_olga")] == [
        ["Support"],
        ["Support"],
        ["Olga"],
    ]
    assert [
        row["actor"]["kind"]
        for row in audit_rows(world, customer, "actor_kind=support", org=customer)
    ] == ["support"]


@pytest.mark.parametrize("path", ["audit", "timeline"])
def test_an_acting_session_cannot_read_the_audit(world: World, path: str) -> None:
    customer = world.active()

    response = world.call("GET", f"/organizations/{customer}/{path}", org=customer, act=STELLA)

    assert (response.status_code, response.json["code"]) == (403, "forbidden")
    denied = world.published(org.AuditRecorded)[-1]
    assert (denied.action, denied.outcome, denied.actor["acting"]["sub"]) == (
        f"{path}.read",
        "denied",
        "idn_stella",
    )
