"""Reversals: a mirrored transaction, once, and never more than is available."""

import pytest
from billing import actions
from billing.actions.accounts.wallet import ProviderCreditsInsufficient
from billing.actions.ledger.refusals import AlreadyReversed
from billing.models import Account, Buckets
from chassis.runtime import clock, ids

from tests.billing.test_concurrency import at_once


def reverse(world, org, transaction, **options):
    return world.post(
        org, f"transactions/{transaction['id']}/reverse", {"reason": "mistake"}, **options
    )


def entries(transaction):
    return [(leg["account"], leg["debit"], leg["credit"]) for leg in transaction["entries"]]


def buckets(world, org):
    with world.database.reading() as session:
        return session.get_one(Account, org).buckets


def wallet(world):
    (balance,) = world.call("GET", "/v1/wallet").json["data"]
    return balance["balance"], balance["customers_balance"]


@pytest.mark.parametrize(
    ("method", "source"),
    [
        ("cash", "offline"),
        ("bank_transfer", "offline"),
        ("card", "wallet"),
        ("issue", "issued"),
    ],
)
def test_a_top_up_is_reversed_once(world, cards, method, source):
    org = world.open()
    world.store_card(org)
    world.call("POST", "/v1/wallet/top-ups", {"amount": "100"})
    topped_up = world.top_up(org, "30", method)

    taken_back = reverse(world, org, topped_up)

    assert taken_back.status_code == 201
    shown = taken_back.json
    assert (shown["kind"], shown["amount"], shown["method"]) == ("reversal", "-30.00", method)
    assert (shown["reverses"], shown["reason"]) == (topped_up["id"], "mistake")
    assert entries(shown) == [("prepaid", "30.00", "0.00"), (source, "0.00", "30.00")]
    assert (buckets(world, org), wallet(world)) == (Buckets(), ("100.00", "0.00"))
    assert world.published(org)[-2][1]["action"] == "account.reversed"
    books = world.stored_rows(org)
    again = reverse(world, org, topped_up)
    assert (again.status_code, again.json["code"]) == (409, "already_reversed")
    assert world.stored_rows(org) == books


def test_a_reversal_may_exceed_the_credit_limit(world):
    org = world.open()
    topped_up = world.top_up(org, "30")
    world.charge(org, "20")
    assert reverse(world, org, topped_up).json["balance_after"] == "-20.00"


@pytest.mark.parametrize("mode", ["prepaid", "postpaid"])
def test_withdrawals_and_adjustments_of_either_sign_are_reversed(world, mode):
    org = world.open(mode, limit="100")
    world.top_up(org, "50")
    world.charge(org, "20")
    posted = [
        world.withdraw(org, "15"),
        world.adjust(org, "-40"),
        world.adjust(org, "25", "goodwill"),
        world.adjust(org, "-5", "goodwill"),
    ]
    for transaction in reversed(posted):
        assert reverse(world, org, transaction).status_code == 201
    left = (
        Buckets(prepaid=30_000_000)
        if mode == "prepaid"
        else Buckets(surplus=50_000_000, unbilled=20_000_000)
    )
    assert buckets(world, org) == left


def test_a_spent_surplus_is_owed_again(world):
    org = world.open("postpaid", limit="100")
    topped_up = world.top_up(org, "30")
    world.withdraw(org, "20")
    assert reverse(world, org, topped_up).status_code == 201
    assert buckets(world, org) == Buckets(unbilled=20_000_000)


def test_an_amount_no_longer_unbilled_is_returned_as_surplus(world):
    org = world.open("postpaid", limit="100")
    debited = world.adjust(org, "-30")
    world.adjust(org, "10")
    assert entries(reverse(world, org, debited).json) == [
        ("correction", "20.00", "0.00"),
        ("unbilled", "0.00", "20.00"),
        ("correction", "10.00", "0.00"),
        ("surplus", "0.00", "10.00"),
    ]


@pytest.mark.parametrize(("before", "after"), [("prepaid", "postpaid"), ("postpaid", "prepaid")])
def test_after_a_change_of_payment_mode_the_current_buckets_are_used(world, before, after):
    org = world.open(before, limit="100")
    posted = [
        world.top_up(org, "50"),
        world.withdraw(org, "20"),
        world.adjust(org, "7"),
        world.adjust(org, "-7"),
    ]
    assert world.patch(org, {"payment_mode": after}).status_code == 200
    for transaction in posted[1:] + posted[:1]:
        assert reverse(world, org, transaction).status_code == 201
    assert buckets(world, org) == Buckets()


def test_a_reversed_withdrawal_by_issue_is_issued_again(world):
    org = world.open()
    world.top_up(org, "30")
    withdrawn = world.post(
        org, "withdrawals", {"amount": "30", "method": "issue", "reason": "x"}
    ).json
    refused = reverse(world, org, withdrawn)
    assert (refused.status_code, refused.json["code"]) == (409, "provider_credits_insufficient")
    world.call("POST", "/v1/wallet/top-ups", {"amount": "30"})
    assert reverse(world, org, withdrawn).status_code == 201
    assert wallet(world) == ("30.00", "30.00")


def test_other_kinds_are_refused_with_an_alternative(world):
    org = world.open(limit="100")
    topped_up, charge = world.top_up(org, "30"), world.charge(org, "20")
    given_back = world.post(org, "refunds", {"transaction_id": charge["id"], "reason": "x"}).json
    taken_back = reverse(world, org, topped_up).json
    world.adjust(org, "5")
    world.patch(org, {"payment_mode": "postpaid"})
    path = f"/v1/organizations/{org}/account/transactions?kind=mode_change"
    (changed,) = world.call("GET", path).json["data"]
    books = world.stored_rows(org)
    for transaction, hint in (
        (charge, "Refund it"),
        (given_back, "adjustment"),
        (taken_back, "adjustment"),
        (changed, "adjustment"),
    ):
        refused = reverse(world, org, transaction)
        assert (refused.status_code, refused.json["code"]) == (409, "not_reversible")
        assert hint in refused.json["detail"]
    assert world.stored_rows(org) == books


def test_unknown_transactions_and_invalid_input(world):
    org, other = world.open(), world.open()
    anothers, topped_up = world.top_up(other, "1"), world.top_up(org, "1")
    books = world.stored_rows(org)
    for unknown in (anothers["id"], ids.new("txn"), ids.new("pay"), "txn_1"):
        assert reverse(world, org, {"id": unknown}).status_code == 404
    for body in (
        {},
        {"reason": ""},
        {"reason": 1},
        {"reason": "x", "amount": "1"},
        {"reason": "x" * 501},
    ):
        response = world.post(org, f"transactions/{topped_up['id']}/reverse", body)
        assert response.status_code == 422
    assert reverse(world, org, topped_up, key=None).status_code == 400
    for token, expected in (
        (world.token("customer", "owner", org), 403),
        (world.token(role="support"), 403),
        (world.token(org=ids.new("org")), 404),
    ):
        assert reverse(world, org, topped_up, token=token).status_code == expected
    assert world.stored_rows(org) == books


def test_a_closed_account_refuses_reversals(world):
    org = world.open()
    topped_up = world.top_up(org, "1")
    world.withdraw(org, "1")
    with world.database.transaction() as session:
        actions.close_account(session, organization_id=org, deletion_id="d", now=clock.now())
    assert reverse(world, org, topped_up).json["code"] == "account_closed"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_concurrent_reversals_happen_once_and_issue_no_more_than_available(world):
    orgs = [world.open() for _ in range(4)]
    withdrawn = []
    for org in orgs:
        world.top_up(org, "3")
        withdrawn.append(
            world.post(org, "withdrawals", {"amount": "3", "method": "issue", "reason": "x"}).json[
                "id"
            ]
        )
    world.call("POST", "/v1/wallet/top-ups", {"amount": "7"})
    responses = at_once(
        *[
            lambda org=org, txn=txn: world.act(
                actions.reverse, organization_id=org, transaction_id=txn, reason="x"
            )
            for org, txn in zip(orgs, withdrawn, strict=True)
            for _ in range(3)
        ]
    )
    done = [response for response in responses if isinstance(response, dict)]
    assert len(done) == 2
    assert {type(response) for response in responses} == {
        dict,
        AlreadyReversed,
        ProviderCreditsInsufficient,
    }
    assert wallet(world) == ("7.00", "6.00")
