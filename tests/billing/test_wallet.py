"""The provider's wallet: the domain's table through the API, consistent at one instant, with sums
that no column holds, and without a lock for charges."""

import pytest
from billing import actions, queries
from billing.actions.usage.records import UsageRecord
from billing.models import Provider
from chassis.runtime import clock, ids
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError

from tests.billing.conftest import CLERK
from tests.billing.test_ledger_audit import run_audit

MOST = "999999999999.999999"


def wallets(world):
    return world.call("GET", "/v1/wallet").json["data"]


def figures(world):
    (wallet,) = wallets(world)
    return tuple(wallet[name] for name in ("balance", "customers_balance", "usable"))


def in_cents(*amounts):
    return tuple(f"{amount}.00" for amount in amounts)


def test_the_table_of_the_domain_row_by_row(world, cards):
    """The charge that the last row refunds was posted before the table begins."""
    org = world.open()
    world.store_card(org)
    world.top_up(org, "100")
    bought_before = world.charge(org, "100", cost="30", kind="one_off")
    world.call("POST", "/v1/wallet/top-ups", {"amount": "30"})
    assert figures(world) == in_cents(0, 0, 0)

    def done(response, *expected):
        assert response.status_code == 201, response.json
        assert figures(world) == in_cents(*expected)

    done(
        world.call("POST", "/v1/wallet/top-ups", {"amount": "2000", "method": "card"}),
        2000,
        0,
        2000,
    )
    done(
        world.call("POST", "/v1/wallet/top-ups", {"amount": "4000", "method": "cheque"}),
        6000,
        0,
        6000,
    )
    done(world.post(org, "top-ups", {"amount": "200", "method": "cash"}), 6000, 200, 5800)
    done(world.post(org, "top-ups", {"amount": "300", "method": "bank_transfer"}), 6000, 500, 5500)
    done(world.post(org, "top-ups", {"amount": "1000", "method": "card"}), 7000, 1500, 5500)
    bought = {"amount": "50", "cost": "10", "kind": "one_off", "description": "Headset"}
    done(world.post(org, "charges", bought), 6990, 1450, 5540)
    paid_out = {"amount": "500", "method": "card", "reason": "leaves"}
    done(world.post(org, "withdrawals", paid_out), 6490, 950, 5540)
    paid_out = {"amount": "200", "method": "cheque", "reason": "leaves"}
    done(world.post(org, "withdrawals", paid_out), 6490, 750, 5740)
    given_back = {"transaction_id": bought_before["id"], "reason": "broken"}
    done(world.post(org, "refunds", given_back), 6520, 850, 5670)
    assert world.account(org)["balance"] == "850.00"


@pytest.mark.parametrize("method", ["cash", "cheque", "bank_transfer", "issue"])
def test_manual_and_issued_top_ups_raise_only_the_customers_part(world, method):
    prepaid, postpaid = world.open(), world.open("postpaid", limit="1")
    world.call("POST", "/v1/wallet/top-ups", {"amount": "100"})
    assert world.post(prepaid, "top-ups", {"amount": "10", "method": method}).status_code == 201
    assert figures(world) == in_cents(100, 10, 90)
    paid = world.call(
        "POST", f"/v1/organizations/{postpaid}/payments", {"amount": "20", "method": method}
    )
    assert paid.status_code == 201
    assert figures(world) == in_cents(100, 30, 70)
    assert (
        world.post(
            prepaid, "withdrawals", {"amount": "10", "method": method, "reason": "x"}
        ).status_code
        == 201
    )
    assert figures(world) == in_cents(100, 20, 80)


def test_cards_are_refused_without_a_card_provider(world):
    org, postpaid = world.open(), world.open("postpaid", limit="1")
    world.store_card(org)
    by_card = {"amount": "1", "method": "card"}
    for response in (
        world.post(org, "top-ups", by_card),
        world.post(org, "withdrawals", {**by_card, "reason": "x"}),
        world.call("POST", f"/v1/organizations/{postpaid}/payments", by_card),
    ):
        assert (response.status_code, response.json["code"]) == (409, "payment_method_missing")


def test_a_card_must_be_stored_before_it_is_used(world, cards):
    org = world.open()
    refused = world.post(org, "top-ups", {"amount": "1", "method": "card"})
    assert (refused.status_code, refused.json["code"]) == (409, "payment_method_missing")


def test_issuing_cannot_exceed_the_providers_credits(world):
    org, postpaid = world.open(), world.open("postpaid", limit="1")
    world.call("POST", "/v1/wallet/top-ups", {"amount": "100"})
    world.top_up(org, "100", "issue")
    issue = {"amount": "0.000001", "method": "issue"}
    for refused in (
        world.post(org, "top-ups", issue),
        world.call("POST", f"/v1/organizations/{postpaid}/payments", issue),
    ):
        assert (refused.status_code, refused.json["code"]) == (409, "provider_credits_insufficient")
        assert (refused.json["shortfall"], refused.json["usable"]) == ("0.000001", "0.00")


def test_removing_a_card_switches_off_its_automatic_top_up(world, cards):
    org = world.open()
    world.store_card(org)
    world.patch(org, {"auto_top_up": {"enabled": True, "amount": "10", "method": "card"}})
    path = f"/v1/organizations/{org}/account/payment-method"
    for role, expected in (("member", 403), ("admin", 403), ("owner", 204)):
        assert (
            world.call("DELETE", path, token=world.token("customer", role, org)).status_code
            == expected
        )
    account = world.account(org)
    assert (account["payment_method"], account["auto_top_up"]["enabled"]) == (None, False)
    audited = world.last_published(org, "audit_recorded")
    assert audited["action"] == "account.payment_method_removed"
    assert [change["field"] for change in audited["changes"]] == [
        "payment_method",
        "auto_top_up.enabled",
    ]
    again = world.call("DELETE", path)
    assert (again.status_code, again.json["code"]) == (404, "no_payment_method")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_only_issuing_locks_the_wallet(world):
    org = world.open("postpaid", limit="100")

    def at_once(act, **arguments):
        with world.database.transaction() as session:
            session.execute(text("SET LOCAL lock_timeout = '300ms'"))
            return act(session, organization_id=org, now=clock.now(), **arguments)

    with world.database.transaction() as other:
        other.scalars(
            select(Provider).where(Provider.id == world.provider_id).with_for_update()
        ).one()
        for kind in ("usage", "one_off"):
            spent = at_once(actions.charge, amount=2, cost=1, kind=kind, description="x", by=CLERK)
        reservation = at_once(
            actions.reserve, by=CLERK, amount=5, description="call", expires_in=60
        )
        at_once(actions.capture, by=CLERK, reservation_id=reservation["id"], amount=3)
        at_once(actions.refund, transaction_id=spent["id"], reason="x", by=CLERK)
        with world.database.transaction() as session:
            record = UsageRecord(world.provider_id, "one", org, 1, clock.now(), "Calls", cost=1)
            session.execute(text("SET LOCAL lock_timeout = '300ms'"))
            assert actions.record_usage(session, by=CLERK, records=[record], now=clock.now()) == [
                "accepted"
            ]
        at_once(actions.top_up, amount=1, method="cash", by=CLERK)
        at_once(actions.record_payment, amount=1, method="cash", by=CLERK)
        for issue in (actions.top_up, actions.record_payment):
            with pytest.raises(OperationalError, match="lock timeout"):
                at_once(issue, amount=1, method="issue", by=CLERK)
    world.call("POST", "/v1/wallet/top-ups", {"amount": "1"})
    at_once(actions.top_up, amount=1, method="issue", by=CLERK)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_balance_and_customers_balance_are_from_the_same_instant(world, cards):
    org = world.open()
    world.store_card(org)
    posted = []

    def post(connection, cursor, statement, parameters, context, many):
        if not posted and ("FROM journal" in statement or "FROM accounts" in statement):
            posted.append(statement)
            with world.database.transaction() as other:
                actions.top_up(
                    other,
                    organization_id=org,
                    amount=5 * 10**6,
                    method="card",
                    now=clock.now(),
                    by=CLERK,
                )

    with world.database.reading() as session:
        event.listen(world.database.engine, "after_cursor_execute", post)
        balances = queries.wallet_balances(session, world.provider_id)
        event.remove(world.database.engine, "after_cursor_execute", post)
    assert posted
    assert [balance.usable for balance in balances] == [0]
    assert wallets(world)[0] == {
        "currency": "SGD",
        "balance": "5.00",
        "customers_balance": "5.00",
        "usable": "0.00",
    }


def test_currencies_are_summed_separately_the_providers_own_first(world):
    yen = world.open(currency="JPY")
    world.top_up(yen, "500")
    world.top_up(world.open(), "3")
    world.charge(world.open(limit="9"), "2", cost="1.5")
    world.call("POST", "/v1/wallet/top-ups", {"amount": "100"})
    world.call("POST", "/v1/wallet/top-ups", {"amount": "7", "currency": "EUR"})
    assert [tuple(wallet.values()) for wallet in wallets(world)] == [
        ("SGD", "98.50", "3.00", "95.50"),
        ("EUR", "7.00", "0.00", "7.00"),
        ("JPY", "0", "500", "-500"),
    ]


def test_the_largest_costs_are_summed_and_what_cannot_be_stored_is_refused(world):
    customers = [world.open(limit="1") for _ in range(2)]
    body = {"amount": "0.01", "kind": "usage", "description": "x", "cost": MOST}
    responses = [world.post(org, "charges", body) for org in customers for _ in range(10)]
    refused = [response.json["code"] for response in responses if response.status_code != 201]
    assert refused == ["amount_too_large"] * 2
    assert wallets(world)[0]["balance"] == "-17999999999999.999982"
    topped_up = world.call("POST", "/v1/wallet/top-ups", {"amount": "1"})
    assert (topped_up.status_code, topped_up.json["code"]) == (409, "amount_too_large")


def top_up(world, amount, **body):
    response = world.call("POST", "/v1/wallet/top-ups", {"amount": amount, **body})
    assert response.status_code == 201, response.json
    return response.json


def reverse(world, transaction_id, **options):
    path = f"/v1/wallet/transactions/{transaction_id}/reverse"
    return world.call("POST", path, {"reason": "typed twice"}, **options)


def listed(world, query=""):
    response = world.call("GET", f"/v1/wallet/transactions{query}")
    assert response.status_code == 200, response.json
    return response.json


def test_a_reversal_mirrors_the_top_up_once_and_names_who_and_why(world):
    first = top_up(world, "30", method="cheque", reference="C-1")
    response = reverse(world, first["id"])

    assert response.status_code == 201
    reversal = response.json
    assert (reversal["kind"], reversal["amount"], reversal["balance_after"]) == (
        "reversal",
        "-30.00",
        "0.00",
    )
    assert (reversal["reverses"], reversal["reason"]) == (first["id"], "typed twice")
    assert [(leg["account"], leg["debit"], leg["credit"]) for leg in reversal["entries"]] == [
        ("funding", "30.00", "0.00"),
        ("wallet", "0.00", "30.00"),
    ]
    assert figures(world) == in_cents(0, 0, 0)
    audited = world.last_published(world.provider_id, "audit_recorded")
    assert (audited["action"], audited["reason"]) == ("wallet.reversed", "typed twice")
    assert audited["changes"] == [{"field": "balance", "before": "30.00", "after": "0.00"}]
    assert audited["actor"]["id"] == reversal["actor"]["id"]
    again = reverse(world, first["id"])
    assert (again.status_code, again.json["code"]) == (409, "already_reversed")
    back = reverse(world, reversal["id"])
    assert (back.status_code, back.json["code"]) == (409, "not_reversible")
    assert figures(world) == in_cents(0, 0, 0)


def test_what_customers_have_is_not_taken_from_the_wallet_by_a_reversal(world):
    org = world.open()
    first, second = top_up(world, "100"), top_up(world, "5")
    world.top_up(org, "5.000001", "issue")

    refused = reverse(world, first["id"])

    assert (refused.status_code, refused.json["code"]) == (409, "provider_credits_insufficient")
    assert (refused.json["usable"], refused.json["shortfall"]) == ("99.999999", "0.000001")
    assert reverse(world, second["id"]).status_code == 201
    world.post(org, "withdrawals", {"amount": "5.000001", "method": "issue", "reason": "x"})
    assert reverse(world, first["id"]).status_code == 201
    assert figures(world) == in_cents(0, 0, 0)


def test_the_wallet_lists_its_own_transactions_newest_first(world):
    world.top_up(world.open(), "1")
    made = [top_up(world, str(n), remark=f"no. {n}") for n in range(1, 4)]
    euro = top_up(world, "9", currency="EUR")
    reversal = reverse(world, made[1]["id"]).json

    newest_first = [reversal["id"], euro["id"], *(row["id"] for row in reversed(made))]
    rows = listed(world)["data"]
    assert [row["id"] for row in rows] == newest_first
    expected = {name: value for name, value in made[0].items() if name not in ("cost", "entries")}
    assert rows[-1] == expected
    assert rows[0]["reverses"] == made[1]["id"]
    pages, cursor = [], ""
    while cursor is not None:
        page = listed(world, f"?limit=2{cursor and f'&cursor={cursor}'}")
        pages.append([row["id"] for row in page["data"]])
        assert page["has_more"] == (page["next_cursor"] is not None)
        cursor = page["next_cursor"]
    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]
    assert [row["id"] for row in listed(world, "?currency=EUR")["data"]] == [euro["id"]]
    assert listed(world, "?currency=JPY")["data"] == []
    cursor = listed(world, "?limit=2")["next_cursor"]
    for bad in ("?currency=eur", f"?currency=EUR&cursor={cursor}", "?limit=0"):
        assert world.call("GET", f"/v1/wallet/transactions{bad}").status_code == 422


def test_the_wallet_of_another_provider_does_not_exist(world):
    mine, _ = top_up(world, "1"), top_up(world, "1")
    other = world.token(org=ids.new("org"))
    cursor = listed(world, "?limit=1")["next_cursor"]
    path = f"/v1/wallet/transactions?cursor={cursor}"
    assert world.call("GET", path, token=other).status_code == 422
    assert reverse(world, mine["id"], token=other).status_code == 404
    assert world.call("GET", "/v1/wallet/transactions", token=other).json["data"] == []
    of_a_customer = world.top_up(world.open(), "1")["id"]
    for unknown in (of_a_customer, ids.new("txn"), "txn_x", "%00"):
        assert reverse(world, unknown).status_code == 404
    for kind, role, status in (
        ("provider", "viewer", 403),
        ("customer", "owner", 403),
        ("provider", "billing", 201),
    ):
        org = None if kind == "provider" else world.open()
        response = reverse(world, mine["id"], token=world.token(kind, role, org))
        assert response.status_code == status
    customer = world.token("customer", "owner", world.open())
    assert world.call("GET", "/v1/wallet/transactions", token=customer).status_code == 403
    viewer = world.token(role="viewer")
    assert world.call("GET", "/v1/wallet/transactions", token=viewer).status_code == 200


def test_the_audit_accepts_reversals_of_the_wallet(world):
    euro = top_up(world, "9", currency="EUR")
    top_up(world, "4")
    reverse(world, euro["id"])
    run_audit(world)
    assert world.call("GET", "/v1/ledger/proof").json["discrepancies"] == []
