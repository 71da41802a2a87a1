"""Organizations are created by requests."""

import json
from typing import Any

import pytest
from contracts import org

from tests.org.conftest import World
from tests.org.organizations.sample import GOOD

pytestmark = pytest.mark.both_databases


def without(*path: str) -> dict[str, Any]:
    body = json.loads(json.dumps(GOOD))
    at = body
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return body


def nested(part: str, **other: Any) -> dict[str, Any]:
    return GOOD | {part: GOOD[part] | other}


def test_an_empty_buyer_tag_is_not_stored(world: World) -> None:
    created = world.call(
        "POST", "/organizations", GOOD | {"buyer_tags": {"CustomerRef": None, "TypeRef": "x"}}
    ).json

    assert created["buyer_tags"] == {"TypeRef": "x"}


def test_a_new_customer_is_provisioning_and_its_account_is_requested(world: World) -> None:
    response = world.call("POST", "/organizations", GOOD)

    assert response.status_code == 201
    created = response.json
    assert (created["status"], created["kind"], created["provider_id"]) == (
        "provisioning",
        "customer",
        world.provider,
    )
    assert (created["payment_mode"], created["managed_by"], created["demo"]) == (
        "prepaid",
        "provider",
        False,
    )
    assert created["billing"] == {
        "name": "Acme Ltd",
        "email": "bills@acme.example",
        "address": None,
        "city": None,
    }
    assert [m.organization_id for m in world.published(org.OpenAccount)] == [created["id"]]


WRONG = [
    *[
        (without(f), f"/{f}")
        for f in ("name", "country", "currency", "timezone", "pricing_model", "billing", "owner")
    ],
    (without("billing", "email"), "/billing/email"),
    *[(without("owner", f), f"/owner/{f}") for f in ("given_name", "family_name", "email")],
    *[
        (GOOD | {"name": name}, "/name")
        for name in (
            "",
            "A",
            " A ",
            "x" * 256,
            "Party 🎉",
            "A\u0000B",
            "A\nB",
            "A\u200bB",
            None,
            7,
            ["A"],
        )
    ],
    *[(GOOD | {"country": code}, "/country") for code in ("XX", "de", "DEU", "", "EU", None, 7)],
    *[(GOOD | {"currency": code}, "/currency") for code in ("XXQ", "eur", "", "BTC", None, 978)],
    *[
        (GOOD | {"timezone": zone}, "/timezone")
        for zone in ("Mars/Olympus", "", "EST5", "../etc/passwd", "CET")
    ],
    *[(GOOD | {"pricing_model": model}, "/pricing_model") for model in ("free", "APP", None)],
    (GOOD | {"payment_mode": "later"}, "/payment_mode"),
    (GOOD | {"payment_mode": "postpaid"}, "/credit_limit"),
    *[
        (GOOD | {"payment_mode": "postpaid", "credit_limit": amount}, "/credit_limit")
        for amount in (
            100,
            1.5,
            "-1",
            "1e3",
            "1,5",
            " 1",
            "1.1234567",
            "1234567890123",
            "NaN",
            "",
            "١",
            "+1",
            None,
        )
    ],
    *[
        (nested("billing", email=address), "/billing/email")
        for address in ("", "x", "a@b@c", "a b@c.example", "a；b@c.example", "a@☃.example", None)
    ],
    (nested("billing", address="x" * 501), "/billing/address"),
    (nested("billing", vat="1"), "/billing/vat"),
    (nested("owner", given_name=""), "/owner/given_name"),
    (nested("owner", given_name="see evil.example"), "/owner/given_name"),
    (nested("owner", family_name="a\u2066b"), "/owner/family_name"),
    (nested("billing", name="https://evil.example"), "/billing/name"),
    (GOOD | {"name": "www.evil.example"}, "/name"),
    (GOOD | {"name": "Acme a\u200db"}, "/name"),
    (nested("owner", family_name="x" * 101), "/owner/family_name"),
    (nested("owner", email="not an address"), "/owner/email"),
    (nested("owner", email="a，b@c.example"), "/owner/email"),
    (nested("owner", email="a＠c.example"), "/owner/email"),
    (nested("owner", email="a@b.example\r\nBcc: all@b.example"), "/owner/email"),
    (GOOD | {"buyer_tags": {"Other": "x"}}, "/buyer_tags/Other"),
    (GOOD | {"buyer_tags": {"TypeRef": 7}}, "/buyer_tags/TypeRef"),
    (GOOD | {"buyer_tags": []}, "/buyer_tags"),
    *[(GOOD | {"demo": flag}, "/demo") for flag in ("true", "yes", 2, None)],
    (GOOD | {"managed_by": "nobody"}, "/managed_by"),
    (GOOD | {"unknown": 1}, "/unknown"),
    *[
        (GOOD | {field: "x"}, f"/{field}")
        for field in ("id", "status", "kind", "provider_id", "purge_at")
    ],
]


def test_each_invalid_field_of_a_new_customer_is_named_and_nothing_is_created(
    world: World,
) -> None:
    wrong = []
    for body, pointer in WRONG:
        response = world.call("POST", "/organizations", body)
        pointers = [e["pointer"] for e in response.json.get("errors", [])]
        if response.status_code != 422 or pointers != [pointer]:
            wrong.append((body, pointer, response.status_code, pointers))

    assert wrong == []
    assert world.published(org.OpenAccount) == []


@pytest.mark.parametrize(
    "name",
    [
        "AB",
        "x" * 255,
        "Łódź & Søn (Ges.m.b.H.)",
        "株式会社",
        "شركة",
        "\u0041\u030aB",
        "O'Neill 24/7",
    ],
)
def test_names_in_every_script_are_normalized(world: World, name: str) -> None:
    import unicodedata

    response = world.call("POST", "/organizations", GOOD | {"name": name})

    assert response.status_code == 201
    assert response.json["name"] == unicodedata.normalize("NFC", name)


def test_a_postpaid_customer_needs_a_limit(world: World) -> None:
    response = world.call(
        "POST", "/organizations", GOOD | {"payment_mode": "postpaid", "credit_limit": "500"}
    )

    assert response.status_code == 201
    assert world.published(org.OpenAccount)[0].credit_limit == "500"


def test_creating_twice_with_one_key_creates_once(world: World) -> None:
    first, again = (
        world.call("POST", "/organizations", GOOD, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    )

    assert again.data == first.data
    assert len(world.published(org.OpenAccount)) == 1
