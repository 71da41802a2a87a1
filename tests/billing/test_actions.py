"""Actions on an account's money, on both databases."""

from dataclasses import astuple
from datetime import timedelta

import pytest
from billing import actions, queries
from billing.actions.ledger import posting
from billing.actions.ledger.refusals import (
    AccountClosed,
    AccountFrozen,
    AmountTooLarge,
    InsufficientCredits,
)
from billing.models import Account, Buckets, Entry
from billing.values import Code, Transfer, parse_money
from chassis.runtime import clock
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tests.billing.conftest import CLERK

pytestmark = pytest.mark.both_databases


def figures(world, org):
    shown = world.account(org)
    return {
        name: shown[name]
        for name in ("usable_credits", "balance", "expecting_invoice", "amount_due")
    }


def journal(world, org):
    with world.database.reading() as session:
        return session.scalars(
            select(Entry).where(Entry.organization_id == org).order_by(Entry.seq)
        ).all()


def assert_history_explains_the_account(world, org):
    rows = journal(world, org)
    assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
    buckets, net, on_wallet = Buckets(), 0, 0
    for row in rows:
        on_wallet += row.amount * ((row.debit == Code.WALLET) - (row.credit == Code.WALLET))
        buckets = buckets.after(Transfer(Code(row.debit), Code(row.credit), row.amount))
        after = (
            row.prepaid_after,
            row.surplus_after,
            row.unbilled_after,
            row.invoiced_after,
            row.held_after,
        )
        assert after == astuple(buckets)
        net += row.moved
    with world.database.reading() as session:
        account = session.get_one(Account, org)
        assert (account.buckets, account.seq, account.on_wallet) == (buckets, len(rows), on_wallet)
        assert buckets.net == net


def test_prepaid_money_is_topped_up_charged_and_withdrawn(world):
    org = world.open()
    assert world.top_up(org, "100")["balance_after"] == "100.00"
    charged = world.charge(org, "30.5")
    assert (charged["kind"], charged["amount"], charged["balance_after"]) == (
        "usage",
        "-30.50",
        "69.50",
    )
    assert world.withdraw(org, "9.5")["amount"] == "-9.50"
    assert world.adjust(org, "-0.000001", "write_off")["balance_after"] == "59.999999"
    assert figures(world, org)["usable_credits"] == "59.999999"
    assert_history_explains_the_account(world, org)


def test_a_prepaid_charge_may_use_the_credit_limit_and_no_more(world):
    org = world.open(limit="50")
    world.top_up(org, "10")
    assert world.charge(org, "30")["balance_after"] == "-20.00"
    assert figures(world, org)["usable_credits"] == "30.00"
    response = world.post(
        org, "charges", {"amount": "30.000001", "kind": "one_off", "description": "x"}
    )
    assert (response.status_code, response.json["code"]) == (409, "insufficient_credits")
    assert response.json["shortfall"] == "0.000001"
    assert response.json["cure"] == {"top_up": "0.000001", "credit_limit": "50.000001"}
    assert_history_explains_the_account(world, org)


@pytest.mark.parametrize("cure", ["top_up", "credit_limit"])
@pytest.mark.parametrize("mode", ["prepaid", "postpaid"])
def test_the_proposed_remedies_work(world, mode, cure):
    org = world.open(mode, limit="20")
    world.charge(org, "15")
    body = {"amount": "7.5", "kind": "usage", "description": "x"}
    amount = world.post(org, "charges", body).json["cure"][cure]
    if cure == "top_up":
        world.top_up(org, amount)
    else:
        assert world.patch(org, {"credit_limit": amount}).status_code == 200
    assert world.post(org, "charges", body).status_code == 201


def test_postpaid_charges_are_unbilled_even_with_a_surplus(world):
    org = world.open("postpaid", limit="100")
    world.charge(org, "80")
    assert figures(world, org) == {
        "usable_credits": "20.00",
        "balance": "-80.00",
        "expecting_invoice": "-80.00",
        "amount_due": "0.00",
    }
    world.top_up(org, "30")
    assert figures(world, org) == {
        "usable_credits": "50.00",
        "balance": "-50.00",
        "expecting_invoice": "-80.00",
        "amount_due": "30.00",
    }
    world.charge(org, "50")
    with pytest.raises(InsufficientCredits):
        world.act(actions.charge, organization_id=org, amount=1, kind="usage", description="x")
    world.withdraw(org, "30")
    response = world.post(
        org, "withdrawals", {"amount": "0.000001", "method": "cash", "reason": "x"}
    )
    assert (response.status_code, response.json["code"]) == (409, "insufficient_credits")
    assert_history_explains_the_account(world, org)


def test_nothing_is_withdrawn_on_credit(world):
    org = world.open(limit="100")
    world.top_up(org, "5")
    response = world.post(org, "withdrawals", {"amount": "5.01", "method": "cash", "reason": "x"})
    assert (response.json["code"], response.json["shortfall"]) == ("insufficient_credits", "0.01")


def test_an_adjustment_settles_debts_first_and_is_taken_from_the_surplus_first(world):
    org = world.open("postpaid", limit="100")
    world.charge(org, "4")
    done = world.adjust(org, "10", "goodwill")
    assert (done["kind"], done["amount"], done["balance_after"]) == ("goodwill", "10.00", "6.00")
    assert figures(world, org)["expecting_invoice"] == "0.00"
    assert [(e["account"], e["debit"], e["credit"]) for e in done["entries"]] == [
        ("goodwill", "4.00", "0.00"),
        ("unbilled", "0.00", "4.00"),
        ("goodwill", "6.00", "0.00"),
        ("surplus", "0.00", "6.00"),
    ]
    assert world.adjust(org, "-7")["amount"] == "-7.00"
    assert figures(world, org) == {
        "usable_credits": "99.00",
        "balance": "-1.00",
        "expecting_invoice": "-1.00",
        "amount_due": "0.00",
    }
    assert_history_explains_the_account(world, org)


def test_an_external_invoice_moves_no_money(world):
    org = world.open()
    before = world.account(org), world.call("GET", "/v1/wallet").json
    done = world.charge(org, "500", kind="subscription", external_invoice="R-17", cost="300")
    assert (done["amount"], done["external_amount"], done["external_invoice"]) == (
        "0.00",
        "500.00",
        "R-17",
    )
    after = world.account(org), world.call("GET", "/v1/wallet").json
    assert {**after[0], "as_of": ""} == {**before[0], "as_of": ""} and after[1] == before[1]
    assert_history_explains_the_account(world, org)


def test_figures_of_thirteen_digits_are_refused(world):
    org = world.open()
    world.top_up(org, "999999999999.999999")
    with pytest.raises(AmountTooLarge):
        world.act(actions.top_up, organization_id=org, amount=1, method="cash")
    assert world.patch(org, {"credit_limit": "1"}).json["code"] == "amount_too_large"
    assert figures(world, org)["balance"] == "999999999999.999999"


def test_a_refusal_changes_nothing(world):
    org = world.open()
    world.top_up(org, "1")
    before, rows, published = (
        figures(world, org),
        len(journal(world, org)),
        len(world.published(org)),
    )
    for amount in ("2", "999999999999"):
        assert (
            world.post(
                org, "charges", {"amount": amount, "kind": "usage", "description": "x"}
            ).status_code
            == 409
        )
    assert (figures(world, org), len(journal(world, org)), len(world.published(org))) == (
        before,
        rows,
        published,
    )


def test_a_frozen_account_cannot_be_charged_but_otherwise_works(world):
    org = world.open()
    world.top_up(org, "10")
    with world.database.transaction() as session:
        actions.freeze_account(session, organization_id=org, now=clock.now())
    with pytest.raises(AccountFrozen):
        world.act(actions.charge, organization_id=org, amount=1, kind="usage", description="x")
    world.top_up(org, "1")
    world.adjust(org, "1")
    world.withdraw(org, "12")
    assert world.account(org)["status"] == "frozen"


@pytest.mark.parametrize("sealed", [False, True])
def test_a_closed_account_cannot_be_posted_to(world, sealed):
    org, now = world.open(), clock.now()
    with world.database.transaction() as session:
        actions.close_account(session, organization_id=org, deletion_id=org, now=now)
        if sealed:
            actions.seal_account(session, organization_id=org, deletion_id=org, now=now)
    for act, more in (
        (actions.top_up, {"method": "cash"}),
        (actions.withdraw, {"method": "cash", "reason": "x"}),
        (actions.charge, {"kind": "usage", "description": "x"}),
        (actions.adjust, {"kind": "correction", "reason": "x"}),
    ):
        with pytest.raises(AccountClosed):
            world.act(act, organization_id=org, amount=1, **more)
    assert world.patch(org, {"credit_limit": "1"}).json["code"] == "account_closed"
    assert world.account(org)["status"] == "closed"


def test_a_debt_is_not_the_customers_money(world):
    world.charge(world.open("postpaid", limit="100"), "60")
    world.top_up(world.open(), "25")
    (balance,) = world.call("GET", "/v1/wallet").json["data"]
    assert balance["customers_balance"] == "25.00"


def test_days_to_empty_follow_two_weeks_of_charges(world):
    org, now = world.open(), clock.now()
    world.top_up(org, "100")
    assert world.account(org)["days_to_empty"] is None
    with world.database.transaction() as session:
        for days, amount in ((20, "50"), (3, "7")):
            actions.charge(
                session,
                organization_id=org,
                amount=parse_money(amount),
                kind="usage",
                description="x",
                by=CLERK,
                now=now - timedelta(days=days),
            )
    # 43 left, 7 spent in the last 14 days: half a unit a day.
    assert world.account(org)["days_to_empty"] == 86


def test_every_change_is_audited_and_publishes_one_balance(world):
    org = world.open(limit="5")
    world.top_up(org, "100")
    names = [name for name, _ in world.published(org)]
    assert names == [
        "audit_recorded",
        "balance_changed",
        "account_opened",
        "audit_recorded",
        "balance_changed",
    ]
    audit = world.last_published(org, "audit_recorded")
    assert (audit["action"], audit["outcome"]) == ("account.topped_up", "ok")
    assert audit["changes"] == [{"field": "balance", "before": "0.00", "after": "100.00"}]
    published = world.last_published(org, "balance_changed")
    assert (published["usable_credits"], published["balance"], published["credit_limit"]) == (
        "105.00",
        "100.00",
        "5.00",
    )


def test_a_usage_id_counts_once_across_all_customers_of_the_provider(world):
    org, other, now = world.open(), world.open(), clock.now()

    def post(organization_id):
        with world.database.transaction() as session:
            account = queries.get_account(session, organization_id, lock=True)
            transfers = [Transfer(Code.OFFLINE, Code.PREPAID, 1)]
            posting.post(
                session,
                account,
                transfers,
                kind="top_up",
                now=now,
                by=CLERK,
                description="Top-up",
                source="record-1",
            )

    post(org)
    for again in (org, other):
        with pytest.raises(IntegrityError):
            post(again)
    assert (len(journal(world, org)), journal(world, other)) == (1, [])


def test_the_proposed_top_up_covers_open_invoices_first(world):
    org = world.open("postpaid", limit="20")
    with world.database.transaction() as session:
        session.get_one(Account, org).invoiced = parse_money("30")
    body = {"amount": "21", "kind": "usage", "description": "x"}
    refused = world.post(org, "charges", body).json
    assert (refused["shortfall"], refused["cure"]["top_up"]) == ("1.00", "31.00")
    world.top_up(org, refused["cure"]["top_up"])
    assert world.post(org, "charges", body).status_code == 201
