"""Who reads which invoices, and which are overdue."""

from datetime import UTC, date, datetime, timedelta

from billing import actions, queries
from chassis.runtime import ids
from sqlalchemy import event

from tests.billing.conftest import CLERK
from tests.billing.invoices.books import choose, credit, do, issue, listed, names, read, run_action


def test_lists_and_their_filters(world):
    org = world.open("postpaid", limit="1000")
    made = []
    for _ in range(3):
        world.charge(org, "10")
        made.insert(0, issue(world, org))
    do(world, org, made[0], "void")
    credit(world, org, made[1])
    today = made[0]["issued_on"]
    yesterday = (date.fromisoformat(today) - timedelta(days=1)).isoformat()
    for query, expected in {
        "": [0, 1, 2],
        "?status=void": [0],
        "?status=paid": [1],
        "?status=awaiting_payment": [2],
        "?status=draft": [],
        "?overdue=true": [],
        "?overdue=false": [0, 1, 2],
        f"?from={today}&to={today}": [0, 1, 2],
        f"?to={yesterday}": [],
        "?from=2999-01-01": [],
    }.items():
        assert [i["id"] for i in listed(world, org, query)] == [made[n]["id"] for n in expected], (
            query
        )
    assert "lines" not in listed(world, org)[0]
    page = world.call("GET", f"/v1/organizations/{org}/invoices?limit=2").json
    rest = listed(world, org, f"?limit=2&cursor={page['next_cursor']}")
    assert [i["id"] for i in page["data"] + rest] == [i["id"] for i in made]
    foreign = f"?status=void&cursor={page['next_cursor']}"
    for bad in (
        "?status=x",
        "?overdue=perhaps",
        "?overdue=on",
        "?from=yesterday",
        "?limit=0",
        foreign,
    ):
        assert world.call("GET", f"/v1/organizations/{org}/invoices{bad}").status_code == 422, bad


def test_a_long_invoice_is_read_by_two_queries(world):
    org = world.open("postpaid", limit="1000")
    for _ in range(5):
        world.charge(org, "1")
    invoice = issue(world, org)
    statements = []
    event.listen(
        world.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )
    read(world, org, invoice["id"])
    # One for the lines, one for those of voided invoices.
    assert len([s for s in statements if "journal" in s]) == 2


def test_who_may_read_and_issue_invoices(world):
    org = world.open("postpaid", limit="100")
    world.charge(org, "10")
    invoice = issue(world, org)
    path = f"/v1/organizations/{org}/invoices"
    for role, status in (("owner", 200), ("admin", 200), ("member", 403)):
        token = world.token("customer", role, org)
        assert world.call("GET", f"{path}/{invoice['id']}", token=token).status_code == status
        assert (
            world.call("POST", f"{path}/{invoice['id']}/void", {}, token=token).status_code == 403
        )
    stranger = world.token("customer", "owner", world.open())
    for method, where in (("GET", path), ("GET", f"{path}/{invoice['id']}"), ("POST", path)):
        assert (
            world.call(method, where, {} if method == "POST" else None, token=stranger).status_code
            == 404
        )
    other = world.open("postpaid", limit="1")
    for wrong in (invoice["id"], invoice["id"].upper(), "inv_x", ids.new("inv"), ids.new("txn")):
        assert world.call("GET", f"/v1/organizations/{other}/invoices/{wrong}").status_code == 404
        assert do(world, other, {"id": wrong}, "void", status=404)["code"] == "not_found"
        assert credit(world, other, {"id": wrong}, status=404)["code"] == "not_found"


def test_an_overdue_invoice_is_published_once_after_its_last_day_in_its_time_zone(world):
    choose(world, payment_terms_days=3)
    org = world.open("postpaid", limit="100")
    world.charge(org, "10")
    issued = datetime(2031, 3, 10, 12, tzinfo=UTC)
    with world.database.transaction() as session:
        actions.issue_invoice(session, organization_id=org, now=issued, by=CLERK)
    midnight = datetime(2031, 3, 13, 16, tzinfo=UTC)  # the 14th begins in Singapore
    instants = (midnight - timedelta(seconds=1), midnight, midnight + timedelta(days=9))
    for now, times in zip(instants, (0, 1, 1), strict=True):
        while run_action(world, actions.flag_overdue_invoices, now):
            pass
        assert names(world, org).count("invoice_overdue") == times
    published = world.last_published(org, "invoice_overdue")
    assert (published["due_on"], published["open"]) == ("2031-03-13", "10.00")
    with world.database.reading() as session:
        (invoice,) = session.scalars(queries.invoices(org, now=midnight, overdue=True))
        assert queries.show_invoice_rows(session, [invoice], midnight)[0]["overdue"]
        assert not session.scalars(queries.invoices(org, now=instants[0], overdue=True)).all()
