"""Many at once on one account, on PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from billing import actions
from billing.actions.accounts.wallet import ProviderCreditsInsufficient
from billing.actions.charges.credit_check import InsufficientCredits
from billing.actions.ledger.posting import AccountClosed
from billing.models import Account, Entry
from chassis.runtime import clock
from sqlalchemy import select

from tests.billing.conftest import CLERK

THREADS = 16

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def at_once(*tasks):
    """Run the tasks in threads that begin together; what each answered or raised."""
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

    answers = at_once(
        *[charge(world, org, 1) for _ in range(4)],
        close,
        *[charge(world, org, 1) for _ in range(3)],
    )
    charged = sum(answer for answer in answers if isinstance(answer, int))
    with world.database.reading() as session:
        account = session.get_one(Account, org)
    said = [name for name, _ in world.said(org) if name in ("account_closed", "account_not_closed")]
    if account.status == "closed":
        assert (account.prepaid, charged, said) == (0, 0, ["account_closed"])
        assert sum(isinstance(answer, AccountClosed) for answer in answers) == 7
    else:
        assert (account.prepaid, charged, said) == (-7, 7, ["account_not_closed"])


def test_no_more_is_issued_at_once_than_the_provider_has(world):
    orgs = [world.open() for _ in range(8)]
    world.call("POST", "/v1/wallet/top-ups", {"amount": "10"})
    answers = at_once(
        *[
            lambda org=org: world.act(
                actions.top_up, organization_id=org, amount=3 * 10**6, method="issue"
            )
            for org in orgs
        ]
    )
    refused = [answer for answer in answers if isinstance(answer, ProviderCreditsInsufficient)]
    assert (len(refused), len(answers)) == (5, 8)
    assert all(isinstance(answer, dict | ProviderCreditsInsufficient) for answer in answers)


def test_the_same_request_at_once_has_one_effect(world):
    org = world.open()
    body = {"amount": "5", "method": "cash"}
    token, clients = world.token(), [world.client.application.test_client() for _ in range(8)]

    def send(client):
        return client.post(
            f"/v1/organizations/{org}/account/top-ups",
            json=body,
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": "same"},
        )

    answers = at_once(*[lambda client=client: send(client) for client in clients])
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert world.account(org)["balance"] == "5.00"
