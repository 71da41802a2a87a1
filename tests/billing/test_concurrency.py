"""Concurrent actions on one account, on PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from billing import actions
from billing.actions.accounts.wallet import ProviderCreditsInsufficient
from billing.actions.ledger.refusals import AccountClosed, AlreadyReversed, InsufficientCredits
from billing.models import Account, Entry
from chassis.runtime import clock
from sqlalchemy import select

from tests.billing.conftest import CLERK

THREADS = 16

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def at_once(*tasks):
    """Run the tasks in threads that start together; returns each result or exception."""
    ready = threading.Barrier(len(tasks))

    def run(task):
        ready.wait()
        try:
            return task()
        except Exception as problem:
            return problem

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def charge(world, org, amount, times=1):
    def task():
        done = 0
        for _ in range(times):
            try:
                with world.database.transaction() as session:
                    actions.charge(
                        session,
                        organization_id=org,
                        amount=amount,
                        kind="usage",
                        description="x",
                        now=clock.now(),
                        by=CLERK,
                    )
                done += 1
            except InsufficientCredits:
                pass
        return done

    return task


@pytest.mark.parametrize("mode", ["prepaid", "postpaid"])
def test_exactly_as_many_charges_succeed_as_the_limit_covers(world, mode):
    org = world.open(mode, limit="10")
    amount = 300_000
    done = at_once(*[charge(world, org, amount, times=4) for _ in range(THREADS)])
    assert sum(done) == 10_000_000 // amount
    with world.database.reading() as session:
        seqs = session.scalars(
            select(Entry.seq).where(Entry.organization_id == org).order_by(Entry.seq)
        ).all()
    assert seqs == list(range(1, 34))


@pytest.mark.parametrize("again", range(8))
def test_an_account_is_never_closed_with_a_debt(world, again):
    org = world.open(limit="10")

    def close():
        with world.database.transaction() as session:
            actions.close_account(session, organization_id=org, deletion_id="d1", now=clock.now())

    responses = at_once(
        *[charge(world, org, 1) for _ in range(4)],
        close,
        *[charge(world, org, 1) for _ in range(3)],
    )
    charged = sum(response for response in responses if isinstance(response, int))
    with world.database.reading() as session:
        account = session.get_one(Account, org)
    published = [
        name for name, _ in world.published(org) if name in ("account_closed", "account_not_closed")
    ]
    if account.status == "closed":
        assert (account.prepaid, charged, published) == (0, 0, ["account_closed"])
        assert sum(isinstance(response, AccountClosed) for response in responses) == 7
    else:
        assert (account.prepaid, charged, published) == (-7, 7, ["account_not_closed"])


def test_concurrent_issues_cannot_exceed_the_providers_credits(world):
    orgs = [world.open() for _ in range(8)]
    world.call("POST", "/v1/wallet/top-ups", {"amount": "10"})
    responses = at_once(
        *[
            lambda org=org: world.act(
                actions.top_up, organization_id=org, amount=3 * 10**6, method="issue"
            )
            for org in orgs
        ]
    )
    refused = [
        response for response in responses if isinstance(response, ProviderCreditsInsufficient)
    ]
    assert (len(refused), len(responses)) == (5, 8)
    assert all(isinstance(response, dict | ProviderCreditsInsufficient) for response in responses)


def test_concurrent_reversals_and_issues_share_the_providers_credits(world):
    org, top_up = world.open(), {"amount": "10"}
    tops = [world.call("POST", "/v1/wallet/top-ups", top_up).json["id"] for _ in range(2)]

    def reverse(transaction_id):
        return world.act(
            actions.reverse_wallet_top_up,
            provider_id=world.provider_id,
            transaction_id=transaction_id,
            reason="x",
        )["reverses"]

    def issue():
        return world.act(actions.top_up, organization_id=org, amount=7 * 10**6, method="issue")

    reversals = [lambda transaction_id=each: reverse(transaction_id) for each in tops * 3]
    responses = at_once(*reversals, issue, issue)
    expected = str | dict | ProviderCreditsInsufficient | AlreadyReversed
    assert all(isinstance(response, expected) for response in responses), responses
    reversed_ids = [response for response in responses if isinstance(response, str)]
    assert len(set(reversed_ids)) == len(reversed_ids)
    (wallet,) = world.call("GET", "/v1/wallet").json["data"]
    assert wallet["usable"] in ("0.00", "3.00", "6.00")


def test_the_same_request_sent_concurrently_has_one_effect(world):
    org = world.open()
    body = {"amount": "5", "method": "cash"}
    token, clients = world.token(), [world.client.application.test_client() for _ in range(8)]

    def send(client):
        return client.post(
            f"/v1/organizations/{org}/account/top-ups",
            json=body,
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "same"},
        )

    responses = at_once(*[lambda client=client: send(client) for client in clients])
    assert {response.status_code for response in responses} == {201}
    assert len({response.json["id"] for response in responses}) == 1
    assert sum("Idempotent-Replayed" not in response.headers for response in responses) == 1
    assert world.account(org)["balance"] == "5.00"
