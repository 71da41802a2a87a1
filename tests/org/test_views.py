"""Org's HTTP API: what may be sent, who may do what, what is never shown."""

import json
from typing import Any

import pytest
from chassis.runtime import ids
from contracts import org
from org.models import Organization

from tests.org.conftest import NOON, World, balance

pytestmark = pytest.mark.both_databases

GOOD: dict[str, Any] = {
    "name": "Acme Ltd",
    "country": "DE",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "pricing_model": "app",
    "billing": {"email": "bills@acme.example"},
    "owner": {"given_name": "Olga", "family_name": "Owner", "email": "olga@acme.example"},
}


def without(*path: str) -> dict[str, Any]:
    body = json.loads(json.dumps(GOOD))
    at = body
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return body


def nested(part: str, **other: Any) -> dict[str, Any]:
    return GOOD | {part: GOOD[part] | other}


# ---- create


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


# ---- read and change


def test_patchable_fields_are_changed_and_published(world: World) -> None:
    customer = world.active()

    response = world.call(
        "PATCH",
        f"/organizations/{customer}",
        {
            "name": "Acme Holding",
            "billing": {"city": "Berlin", "address": "Street 1\nBack yard"},
            "buyer_tags": {"CustomerRef": "C-7"},
            "demo": True,
            "managed_by": "customer",
        },
    )

    assert response.status_code == 200
    assert response.json["billing"]["name"] == "Acme Holding"
    assert response.json["billing"]["email"] == "bills@acme.example"
    assert response.json["buyer_tags"] == {"CustomerRef": "C-7"}
    assert world.published(org.OrganizationChanged)[-1].name == "Acme Holding"


def test_null_removes_a_value_and_a_missing_key_keeps_it(world: World) -> None:
    customer = world.active(buyer_tags={"CustomerRef": "C-7", "TypeRef": "T"})

    response = world.call(
        "PATCH", f"/organizations/{customer}", {"buyer_tags": {"CustomerRef": None}}
    )

    assert response.json["buyer_tags"] == {"TypeRef": "T"}


def test_a_change_without_difference_publishes_nothing(world: World) -> None:
    customer = world.active()

    assert (
        world.call("PATCH", f"/organizations/{customer}", {"name": "Acme Ltd"}).status_code == 200
    )
    assert world.published(org.OrganizationChanged) == []


def test_a_change_is_audited_with_its_request_id(world: World) -> None:
    customer = world.active()

    world.call(
        "PATCH", f"/organizations/{customer}", {"demo": True}, headers={"X-Request-Id": "req-1"}
    )

    row = next(m for m in world.published(org.AuditRecorded) if m.action == "organization.changed")
    assert row.request_id == "req-1"
    assert row.changes == [{"field": "demo", "before": False, "after": True}]


@pytest.mark.parametrize("field", ["country", "currency", "timezone", "pricing_model"])
def test_fields_fixed_at_creation_are_immutable(world: World, field: str) -> None:
    response = world.call("PATCH", f"/organizations/{world.active()}", {field: GOOD[field]})

    assert response.status_code == 422
    assert [(e["pointer"], e["code"]) for e in response.json["errors"]] == [
        (f"/{field}", "immutable")
    ]


def test_read_only_fields_are_refused(world: World) -> None:
    customer = world.active()

    responses = [
        world.call("PATCH", f"/organizations/{customer}", {field: "x"})
        for field in (
            "id",
            "status",
            "payment_mode",
            "owner",
            "purge_at",
            "summary",
            "credit_limit",
        )
    ]

    assert {a.status_code for a in responses} == {422}
    assert {a.json["errors"][0]["code"] for a in responses} == {"unknown_field"}


def test_if_match_guards_a_change(world: World) -> None:
    customer = world.active()
    tag = world.call("GET", f"/organizations/{customer}").headers["ETag"]

    changed = world.call(
        "PATCH", f"/organizations/{customer}", {"name": "New Name"}, headers={"If-Match": tag}
    )
    late = world.call(
        "PATCH", f"/organizations/{customer}", {"name": "Other Name"}, headers={"If-Match": tag}
    )
    anyhow = world.call(
        "PATCH", f"/organizations/{customer}", {"name": "Third Name"}, headers={"If-Match": "*"}
    )

    assert changed.status_code == 200
    assert changed.headers["ETag"] not in (None, tag)
    assert (late.status_code, late.json["code"]) == (412, "precondition_failed")
    assert anyhow.status_code == 200


def test_the_etag_covers_only_patchable_fields(world: World) -> None:
    customer = world.active()
    tag = world.call("GET", f"/organizations/{customer}").headers["ETag"]

    world.consume(balance(customer, world.provider, usable="5.00", as_of=NOON))

    assert world.call("GET", f"/organizations/{customer}").headers["ETag"] == tag


# ---- who may see and do what

CALLS = [
    ("GET", "", None),
    ("PATCH", "", {"demo": True}),
    ("POST", "/suspend", {"reason": "x"}),
    ("POST", "/activate", {}),
    ("GET", "/deletion-check", None),
    ("DELETE", "", {}),
    ("GET", "/deletion", None),
    ("GET", "/timeline", None),
    ("GET", "/audit", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=str)
def test_other_tenants_organizations_do_not_exist(
    world: World, method: str, path: str, body: Any
) -> None:
    customer, stranger = world.active(), ids.new("org")

    def seen(organization_id: str, **who: Any) -> tuple[int, str]:
        response = world.call(method, f"/organizations/{organization_id}{path}", body, **who)
        return response.status_code, response.json["code"]

    other_provider = {"role": "owner", "org": stranger}
    assert seen(customer, **other_provider) == (404, "not_found")
    assert seen(world.provider, role="owner", org=customer) == (404, "not_found")
    assert seen(ids.new("org")) == (404, "not_found")
    for shape in (
        customer.upper(),
        customer.replace("org_", "mem_"),
        f"{customer}%0A",
        "org_00000000000000000000000000x",
        "%2e%2e",
    ):
        assert seen(shape)[0] == 404


def test_customers_read_only_their_own_organization(world: World) -> None:
    customer, other = world.active(), world.active()

    assert (
        world.call("GET", f"/organizations/{customer}", org=customer, role="member").status_code
        == 200
    )
    assert world.call("GET", f"/organizations/{other}", org=customer).status_code == 404
    assert [
        row["id"] for row in world.call("GET", "/organizations", org=customer).json["data"]
    ] == [customer]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/suspend", {"reason": "x"}),
        ("POST", "/activate", {}),
        ("GET", "/deletion-check", None),
        ("DELETE", "", {}),
    ],
    ids=str,
)
def test_staff_operations_are_forbidden_to_customers_and_audited(
    world: World, method: str, path: str, body: Any
) -> None:
    customer = world.active()

    response = world.call(method, f"/organizations/{customer}{path}", body, org=customer)

    assert (response.status_code, response.json["code"]) == (403, "forbidden")
    assert [m.outcome for m in world.published(org.AuditRecorded)][-1] == "denied"
    assert world.organization(customer).status == "active"


def test_customers_cannot_create_organizations(world: World) -> None:
    assert world.call("POST", "/organizations", GOOD, org=world.active()).status_code == 403


def test_an_owner_changes_name_and_billing_only(world: World) -> None:
    customer = world.active()

    def change(body: Any, **who: Any) -> int:
        return world.call(
            "PATCH", f"/organizations/{customer}", body, org=customer, **who
        ).status_code

    assert change({"name": "Mine"}) == 200
    assert change({"demo": True}) == 403
    assert change({"name": "Mine"}, role="admin") == 403


def test_only_the_owner_in_person_lets_the_provider_manage(world: World) -> None:
    customer = world.active()
    body = {"managed_by": "provider"}
    act = {"sub": "idn_staff", "org": "org_x", "sid": "ses_x", "mode": "login_as", "access": "full"}

    def change(**who: Any) -> int:
        return world.call("PATCH", f"/organizations/{customer}", body, **who).status_code

    assert change() == 403
    assert change(org=customer, act=act) == 403
    assert change(org=customer) == 200


# ---- state


STATES = {
    "provisioning": (409, 409, 409),
    "active": (200, 200, 202),
    "suspended": (200, 200, 202),
    "closing": (409, 409, 202),
    "suspended_for_deletion": (409, 200, 202),
    "deleted": (410, 410, 202),
}


@pytest.mark.parametrize("status", STATES)
def test_suspend_activate_and_delete_respond_as_the_state_table_says(
    world: World, status: str
) -> None:
    def fresh() -> str:
        customer = world.active()
        if status in ("closing", "suspended_for_deletion", "deleted"):
            (world.request_deletion if status == "closing" else world.schedule_deletion)(customer)
        if status in ("provisioning", "suspended", "deleted"):
            world.set_status(customer, status)
        world.now = NOON
        return customer

    from chassis.runtime import clock

    world.now = clock.now()
    suspend = world.call("POST", f"/organizations/{fresh()}/suspend", {"reason": "x"})
    world.now = clock.now()
    activate = world.call("POST", f"/organizations/{fresh()}/activate", {})
    world.now = clock.now()
    delete = world.call("DELETE", f"/organizations/{fresh()}", {})

    assert (suspend.status_code, activate.status_code, delete.status_code) == STATES[status]


def test_the_provider_cannot_be_deleted(world: World) -> None:
    response = world.call("DELETE", f"/organizations/{world.provider}", {})

    assert (response.status_code, response.json["code"]) == (409, "provider_root")


def test_a_refused_deletion_shows_the_remedy_of_each_blocker(world: World) -> None:
    from contracts import billing, parts

    customer = world.active()
    deletion = world.call("DELETE", f"/organizations/{customer}", {"reason": "bye"}).json
    left = parts.Blocker(code="credits_left", amount="5.00", currency="EUR")
    world.consume(
        billing.AccountNotClosed(
            organization_id=customer, deletion_id=deletion["id"], blockers=[left]
        )
    )

    shown = world.call("GET", f"/organizations/{customer}/deletion").json

    assert shown["status"] == "refused"
    (blocker,) = shown["blockers"]
    assert (blocker["code"], blocker["amount"], blocker["currency"]) == (
        "credits_left",
        "5.00",
        "EUR",
    )
    assert blocker["fix"] == {
        "method": "POST",
        "href": f"/v1/organizations/{customer}/account/withdrawals",
    }


@pytest.mark.parametrize(
    ("mode", "path"), [("prepaid", "account/top-ups"), ("postpaid", "payments")]
)
def test_the_remedy_of_an_amount_due_depends_on_the_payment_mode(
    world: World, mode: str, path: str
) -> None:
    from contracts import billing, parts

    customer = world.active()
    with world.database.transaction() as session:
        session.get_one(Organization, customer).payment_mode = mode
    due = parts.Blocker(code="amount_due", amount="5.00", currency="EUR")
    world.billing.response = {"blockers": [vars(due)], "warnings": []}
    checked = world.call("GET", f"/organizations/{customer}/deletion-check").json
    deletion = world.call("DELETE", f"/organizations/{customer}", {}).json
    world.consume(
        billing.AccountNotClosed(
            organization_id=customer, deletion_id=deletion["id"], blockers=[due]
        )
    )

    refused = world.call("GET", f"/organizations/{customer}/deletion").json

    for response in (checked, refused):
        assert [b["fix"] for b in response["blockers"]] == [
            {"method": "POST", "href": f"/v1/organizations/{customer}/{path}"}
        ]


def test_without_a_deletion_the_response_is_404(world: World) -> None:
    assert world.call("GET", f"/organizations/{world.active()}/deletion").status_code == 404


def test_the_deletion_check_asks_the_other_services_and_changes_nothing(world: World) -> None:
    customer = world.active()
    world.billing.response = {
        "blockers": [{"code": "amount_due", "amount": "1.00", "currency": "EUR"}],
        "warnings": [],
    }
    world.membership.response = {
        "blockers": [],
        "warnings": [{"code": "acting_session", "detail": "Inside."}],
    }

    check = world.call("GET", f"/organizations/{customer}/deletion-check").json

    assert check["deletable"] is False
    assert [b["code"] for b in check["blockers"]] == ["amount_due"]
    assert [w["code"] for w in check["warnings"]] == ["acting_session"]
    assert world.organization(customer).status == "active"


# ---- list


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


# ---- settings


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
