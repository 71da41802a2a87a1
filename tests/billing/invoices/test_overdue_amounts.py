"""What an account owes on overdue invoices, as its published balance says."""

from datetime import datetime, timedelta

import pytest
from billing import actions, queries
from billing.models import Account
from chassis.runtime import clock

from tests.billing.conftest import CLERK, World
from tests.billing.invoices.books import choose, credit, do, run_action
from tests.databases import counted

pytestmark = pytest.mark.both_databases
NOTHING = (None, None)


@pytest.fixture
def late(world: World) -> str:
    """An account with invoices of 10 and 20, overdue for 7 and for 3 days, of which nothing was
    published yet, and one of 40 that is not due."""
    choose(world, payment_terms_days=3)
    account = world.open("postpaid", limit="100")
    for amount, days in (("10", 10), ("20", 6), ("40", 0)):
        world.charge(account, amount)
        issue(world, account, clock.now() - timedelta(days=days))
    return account


def issue(world: World, account: str, now: datetime) -> None:
    with world.database.transaction() as session:
        actions.issue_invoice(session, organization_id=account, now=now, by=CLERK)


def flag(world: World, now: datetime | None = None) -> None:
    while run_action(world, actions.flag_overdue_invoices, now or clock.now()):
        pass


def ids(world: World, account: str) -> list[str]:
    """The account's invoices, oldest first."""
    listed = world.call("GET", f"/v1/organizations/{account}/invoices").json["data"]
    return [invoice["id"] for invoice in reversed(listed)]


def due_on(world: World, account: str) -> list[str]:
    listed = world.call("GET", f"/v1/organizations/{account}/invoices").json["data"]
    return [invoice["due_on"] for invoice in reversed(listed)]


def owed(world: World, account: str) -> tuple[str | None, str | None]:
    """As published last."""
    world.run_jobs()
    balance = world.last_published(account, "balance_changed")
    return balance["overdue_amount"], balance["oldest_due_on"]


def pay(world: World, account: str, amount: str) -> str:
    """The transaction of a payment."""
    body = {"amount": amount, "method": "cash"}
    response = world.call("POST", f"/v1/organizations/{account}/payments", body)
    assert response.status_code == 201, response.json
    return str(response.json["transaction_id"])


def test_the_balance_is_published_when_an_invoice_becomes_overdue(world: World) -> None:
    choose(world, payment_terms_days=3)
    account, now = world.open("postpaid", limit="100"), clock.now()
    world.charge(account, "10")
    issue(world, account, now)
    flag(world, now + timedelta(days=2))
    assert owed(world, account) == NOTHING

    flag(world, now + timedelta(days=5))

    assert owed(world, account) == ("10.00", due_on(world, account)[0])


def test_invoices_that_are_paid_credited_or_void_are_no_longer_overdue(
    world: World, late: str
) -> None:
    flag(world)
    first, second, _ = due_on(world, late)
    assert owed(world, late) == ("30.00", first)

    pay(world, late, "4")
    assert owed(world, late) == ("26.00", first)
    pay(world, late, "6")
    assert owed(world, late) == ("20.00", second)
    do(world, late, {"id": ids(world, late)[1]}, "void")
    assert owed(world, late) == NOTHING


def test_what_is_credited_is_no_longer_overdue(world: World, late: str) -> None:
    flag(world)
    first, second, _ = due_on(world, late)

    credit(world, late, {"id": ids(world, late)[0]}, "5")
    assert owed(world, late) == ("25.00", first)
    credit(world, late, {"id": ids(world, late)[0]})
    assert owed(world, late) == ("20.00", second)


def test_an_invoice_whose_payment_bounces_is_overdue_again(world: World, late: str) -> None:
    flag(world)
    first, second, _ = due_on(world, late)
    payment = pay(world, late, "10")
    assert owed(world, late) == ("20.00", second)

    reversed_ = world.post(late, f"transactions/{payment}/reverse", {"reason": "bounced"})
    assert reversed_.status_code == 201, reversed_.json

    assert owed(world, late) == ("30.00", first)


def test_reports_say_what_was_published(world: World, late: str) -> None:
    flag(world)
    published = owed(world, late)
    with world.database.transaction() as session:
        listed = queries.states(session, after=None, limit=500).states[late].account
        single = queries.state(session, late).account

    assert listed == single and listed is not None
    assert (listed.overdue_amount, listed.oldest_due_on) == published == ("30.00", published[1])


def test_only_open_invoices_are_read_and_only_of_accounts_that_have_some(
    world: World, late: str
) -> None:
    prepaid = world.open()
    with world.database.reading() as session:
        with counted(world.database) as seen:
            assert queries.overdue(session, [session.get_one(Account, prepaid)]) == {}
        assert not [statement for statement in seen if "FROM invoices" in statement]
        account = session.get_one(Account, late)
        with counted(world.database) as seen:
            queries.overdue(session, [account])
    (statement,) = seen
    assert "status = 'awaiting_payment'" in statement
    if world.database.is_sqlite:
        plain = statement.replace("?", f"'{late}'")
        with world.database.reading() as session:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {plain}").all()
        assert "ix_invoices_awaiting" in str(plan)
