"""The list of organizations."""

from dataclasses import replace
from datetime import timedelta

import pytest
from contracts import billing
from org import queries, schemas

from tests.org.conftest import NOON, World, balance

pytestmark = pytest.mark.both_databases


def test_the_list_is_searched_filtered_and_sorted(world: World) -> None:
    rich = world.active(name="Zebra", country="FR", buyer_tags={"CustomerRef": "REF-1"})
    poor = world.active(name="aardvark", demo=True, billing={"email": "100%_sure@poor.example"})
    world.consume(balance(rich, world.provider, usable="90.00", as_of=NOON))
    world.consume(balance(poor, world.provider, usable="-1.00", as_of=NOON, days=0))

    def ids_of(query: str) -> list[str]:
        response = world.call("GET", f"/organizations?{query}")
        assert response.status_code == 200, response.text
        return [row["id"] for row in response.json["data"]]

    assert ids_of("") == [poor, rich]
    assert ids_of("sort=-name") == [rich, poor]
    assert ids_of("sort=usable_credits") == [poor, rich]
    assert ids_of("sort=-usable_credits") == [rich, poor]
    assert ids_of("sort=days_to_empty") == [poor, rich]
    assert ids_of("sort=-created_at") == [poor, rich]
    assert ids_of("q=ZEB") == [rich]
    assert ids_of("q=ref-1") == [rich]
    assert ids_of(f"q={poor[-8:]}") == [poor]
    assert ids_of("q=100%25_sure") == [poor]
    assert ids_of("q=%25") == [poor]
    assert ids_of("q=%5C") == []
    assert ids_of("country=FR") == [rich]
    assert ids_of("demo=true") == [poor]
    assert ids_of("status=active&currency=EUR&payment_mode=prepaid") == [poor, rich]
    assert ids_of("status=suspended") == []
    assert ids_of("attention=credits_overdrawn") == [poor]
    assert ids_of("attention=any") == [poor]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=x",
        "sort=secret",
        "sort=name;drop",
        "status=gone",
        "country=xx",
        "demo=1",
        "attention=all",
        "unknown=1",
        "q=",
        "currency=1",
    ],
)
def test_an_invalid_query_of_the_list_is_422(world: World, query: str) -> None:
    assert world.call("GET", f"/organizations?{query}").status_code == 422


def test_the_list_is_paged_completely(world: World) -> None:
    made = {world.customer(name=f"Same {n % 2}") for n in range(7)}
    seen, cursor = [], ""
    while True:
        page = world.call("GET", f"/organizations?limit=2&sort=-name{cursor}").json
        seen += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert len(seen) == 7
    assert set(seen) == made
    assert world.call("GET", f"/organizations?limit=2{cursor}").status_code == 422


def test_deleted_customers_are_listed_only_by_their_status(world: World) -> None:
    customer = world.active()
    world.set_status(customer, "deleted")

    assert world.call("GET", "/organizations").json["data"] == []
    assert [
        row["id"] for row in world.call("GET", "/organizations?status=deleted").json["data"]
    ] == [customer]


def test_a_listed_organization_is_what_its_schema_and_a_single_one_say(world: World) -> None:
    customer = world.active(name="Zebra", buyer_tags={"CustomerRef": "REF-1"})
    world.consume(balance(customer, world.provider, usable="-1.00", as_of=NOON, days=0))

    [listed] = world.call("GET", "/organizations").json["data"]

    fields = schemas.ListedOrganization().dump_fields
    assert set(listed) == set(fields)
    assert set(listed["summary"]) == set(fields["summary"].schema.dump_fields)
    assert listed["summary"]["attention"] == ["credits_overdrawn", "credits_run_out"]
    del listed["summary"]
    assert listed == world.call("GET", f"/organizations/{customer}").json


def test_overdue_invoices_and_limits_that_are_near_need_attention(world: World) -> None:
    figures = {"late": "50.00", "near": "10.00", "used": "0.00", "far": "10.01", "over": "-0.01"}
    made = {name: world.active(name=name) for name in figures}
    for name, usable in figures.items():
        owed = {"overdue_amount": "9.50", "oldest_due_on": "2026-01-15"} if name == "late" else {}
        news = balance(made[name], world.provider, usable=usable, as_of=NOON)
        world.consume(replace(news, credit_limit="100.00", **owed))

    def listed(attention: str) -> list[str]:
        rows = world.call("GET", f"/organizations?attention={attention}").json["data"]
        return [row["name"] for row in rows]

    assert listed("invoice_overdue") == ["late"]
    assert listed("limit_near") == ["near", "used"]
    assert listed("credits_overdrawn") == ["over"]
    assert listed("any") == ["late", "near", "over", "used"]
    shown = {
        row["name"]: row["summary"] for row in world.call("GET", "/organizations").json["data"]
    }
    assert (shown["late"]["overdue_amount"], shown["late"]["oldest_due_on"]) == (
        "9.50",
        "2026-01-15",
    )
    assert (shown["far"]["overdue_amount"], shown["far"]["oldest_due_on"]) == ("0.00", None)
    assert shown["late"]["attention"] == ["invoice_overdue"]

    later = balance(made["late"], world.provider, usable="50.00", as_of=NOON + timedelta(hours=1))
    world.consume(later)
    assert listed("invoice_overdue") == []


@pytest.mark.parametrize("status", ["suspended", "suspended_for_deletion", "closing"])
def test_customers_for_whom_nothing_can_be_done_need_no_attention(
    world: World, status: str
) -> None:
    customer = world.active()
    news = balance(customer, world.provider, usable="1.00", as_of=NOON, days=3)
    world.consume(replace(news, credit_limit="100.00"))
    with world.database.transaction() as session:
        organization = queries.organization(session, customer)
        organization.owner = organization.owner | {"verified": False}
    kinds = ["limit_near", "credits_run_out", "owner_unverified"]

    def needed() -> list[str]:
        [row] = world.call("GET", "/organizations").json["data"]
        return list(row["summary"]["attention"])

    assert needed() == kinds
    world.set_status(customer, status)
    assert not set(needed()) & set(kinds)


def test_credits_are_sorted_within_their_currency(world: World) -> None:
    figures = {"a": ("SGD", "5.00"), "b": ("EUR", "9.00"), "c": ("SGD", "1.00"), "d": ("EUR", "2")}
    for name, (currency, usable) in figures.items():
        customer = world.active(name=name, currency=currency)
        world.consume(balance(customer, world.provider, usable=usable, as_of=NOON))

    def listed(sort: str) -> str:
        names, cursor = "", ""
        while True:
            page = world.call("GET", f"/organizations?limit=3&sort={sort}{cursor}").json
            names += "".join(row["name"] for row in page["data"])
            if not page["has_more"]:
                return names
            cursor = f"&cursor={page['next_cursor']}"

    assert listed("usable_credits") == "dbca"
    assert listed("-usable_credits") == "acbd"


def test_a_failed_top_up_needs_attention_until_credits_rise_or_none_is_needed(
    world: World,
) -> None:
    customer, hours = world.active(), iter(range(100))

    def publish(usable: str, *, needed: bool | None = True) -> list[str]:
        as_of = NOON + timedelta(hours=next(hours))
        news = balance(customer, world.provider, usable=usable, as_of=as_of)
        world.consume(replace(news, top_up_needed=needed))
        return needs()

    def fail(usable: str) -> list[str]:
        world.consume(
            billing.AutoTopUpFailed(
                organization_id=customer,
                provider_id=world.provider,
                currency="EUR",
                amount="50.00",
                method="card",
                usable_credits=usable,
                why="card_declined",
            )
        )
        return needs()

    def needs() -> list[str]:
        [row] = world.call("GET", "/organizations").json["data"]
        return list(row["summary"]["attention"])

    assert publish("5.00") == []
    assert fail("5.00") == ["top_up_failed"]
    assert publish("4.00") == ["top_up_failed"]
    assert publish("4.00", needed=None) == ["top_up_failed"]
    assert publish("54.00") == []
    assert fail("3.00") == ["top_up_failed"]
    assert publish("3.00", needed=False) == []
