"""Reading transactions: pages, filters, the export, single ones, and the indexes used."""

import csv
import io
from datetime import timedelta

import pytest
from billing.queries import journal
from chassis.db.direct import Direct
from chassis.runtime import clock, ids
from sqlalchemy import event

pytestmark = pytest.mark.both_databases


def path(org, rest=""):
    return f"/v1/organizations/{org}/account/transactions{rest}"


@pytest.fixture
def busy(world):
    """A customer with transactions of every kind."""
    org = world.open()
    world.top_up(org, "100")
    world.charge(org, "10", cost="4")
    world.charge(org, "5", kind="subscription")
    world.adjust(org, "2", "goodwill")
    world.withdraw(org, "20")
    return org


def kinds(response):
    assert response.status_code == 200, response.json
    return [row["kind"] for row in response.json["data"]]


def test_newest_first_and_each_balance_follows_from_the_previous_one(world, busy):
    rows = world.call("GET", path(busy)).json["data"]
    assert [row["kind"] for row in rows] == [
        "withdrawal",
        "goodwill",
        "subscription",
        "usage",
        "top_up",
    ]
    assert [row["balance_after"] for row in rows] == ["67.00", "87.00", "85.00", "90.00", "100.00"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?kind=top_up", ["top_up"]),
        ("?kind=charge", ["subscription", "usage"]),
        ("?kind=usage", ["usage"]),
        ("?kind=adjustment", ["goodwill"]),
        ("?direction=in", ["goodwill", "top_up"]),
        ("?direction=debit&kind=charge", ["subscription", "usage"]),
        ("?to=2020-01-01", []),
        ("?from=2999-01-01", []),
        ("?from=2020-01-01T00:00:00Z&kind=withdrawal", ["withdrawal"]),
        ("?to=9999-12-31&kind=top_up", ["top_up"]),
        ("?from=0001-01-01&direction=in", ["goodwill", "top_up"]),
    ],
)
def test_filters(world, busy, query, expected):
    assert kinds(world.call("GET", path(busy, query))) == expected


@pytest.mark.parametrize(
    "query",
    [
        "?kind=x",
        "?limit=0",
        "?limit=201",
        "?limit=x",
        "?cursor=x",
        "?direction=up",
        "?from=yesterday",
        "?sort=id",
        "?to=",
        "?from=9999-12-31T23:59:59-01:00",
    ],
)
def test_invalid_queries_are_refused(world, busy, query):
    assert world.call("GET", path(busy, query)).status_code == 422


def test_pages_do_not_overlap_and_a_cursor_belongs_to_its_list(world, busy):
    seen, query = [], "?limit=2"
    while True:
        page = world.call("GET", path(busy, query)).json
        seen += page["data"]
        if not page["has_more"]:
            break
        query = f"?limit=2&cursor={page['next_cursor']}"
    assert seen == world.call("GET", path(busy)).json["data"]
    cursor = world.call("GET", path(busy, "?limit=2")).json["next_cursor"]
    assert world.call("GET", path(busy, f"?limit=2&kind=usage&cursor={cursor}")).status_code == 422


def test_one_transaction_shows_both_legs_of_each_transfer(world, busy):
    usage = world.call("GET", path(busy, "?kind=usage")).json["data"][0]
    transaction = world.call("GET", path(busy, f"/{usage['id']}")).json
    assert (transaction["cost"], usage["cost"]) == ("4.00", "4.00")
    assert [tuple(entry.values()) for entry in transaction["entries"]] == [
        ("prepaid", "10.00", "0.00"),
        ("revenue", "0.00", "10.00"),
        ("cost", "4.00", "0.00"),
        ("wallet", "0.00", "4.00"),
    ]


def test_customers_never_see_the_cost(world, busy):
    token = world.token("customer", "owner", busy)
    page = world.call("GET", path(busy), token=token)
    usage = next(row for row in page.json["data"] if row["kind"] == "usage")
    one = world.call("GET", path(busy, f"/{usage['id']}"), token=token)
    assert [entry["account"] for entry in one.json["entries"]] == ["prepaid", "revenue"]
    file = world.call("GET", path(busy), token=token, Accept="text/csv")
    assert not any("cost" in response.text for response in (page, one, file))


def test_the_transaction_of_another_customer_does_not_exist(world, busy):
    mine = world.call("GET", path(busy)).json["data"][0]["id"]
    for wrong in (mine.replace("txn_", "res_"), mine.upper(), "txn_x", ids.new("txn")):
        assert world.call("GET", path(busy, f"/{wrong}")).status_code == 404
    assert world.call("GET", path(world.open(), f"/{mine}")).status_code == 404


@pytest.mark.parametrize("days", [1, 10, 399])
def test_late_usage_changes_no_list_of_the_past(world, days):
    org = world.open()
    world.top_up(org, "10")
    now = clock.stamp(clock.now())
    past, since = f"?to={now}", f"?from={now}"
    before = world.call("GET", path(org, past)).json
    record = {
        "id": ids.new("evt"),
        "organization_id": org,
        "amount": "1",
        "at": clock.stamp(clock.now() - timedelta(days=days)),
        "description": "late",
    }
    assert world.call("POST", "/v1/usage", {"records": [record]}).json["accepted"] == 1

    assert world.call("GET", path(org, past)).json == before
    (late,) = world.call("GET", path(org, since)).json["data"]
    assert late["occurred_at"] == record["at"] < now < late["posted_at"]
    one = world.call("GET", path(org, f"/{late['id']}")).json
    assert (one["occurred_at"], one["posted_at"]) == (late["occurred_at"], late["posted_at"])
    export = world.call("GET", path(org, past), Accept="text/csv").text
    assert "late" not in export and "top_up" in export
    export = world.call("GET", path(org, since), Accept="text/csv").text
    (row,) = csv.DictReader(io.StringIO(export))
    assert (row["occurred_at"], row["posted_at"]) == (late["occurred_at"], late["posted_at"])


def test_what_is_posted_says_when(world):
    org = world.open()
    posted = [world.top_up(org, "10"), world.charge(org, "1"), world.adjust(org, "2")]

    assert [each["posted_at"] for each in posted] == [each["occurred_at"] for each in posted]


def test_the_export_is_complete_and_has_no_formulas(world, monkeypatch):
    monkeypatch.setattr(journal, "EXPORT_BATCH", 2)
    org = world.open(limit="100")
    texts = ["=1+1", "+1", "-1", "@x", "plain", 'quo"te, comma', "＝1"]
    for description in texts:
        world.charge(org, "1", description=description)
    response = world.call("GET", path(org, "?limit=1&kind=usage"), Accept="text/csv")
    assert response.content_type == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["amount"] for row in rows] == ["-1.00"] * len(texts)
    assert [row["description"] for row in reversed(rows)] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@x",
        "plain",
        'quo"te, comma',
        "'＝1",
    ]
    assert [row["balance_after"] for row in rows] == [f"-{n}.00" for n in range(len(texts), 0, -1)]


def test_a_slow_download_holds_no_connection(world, monkeypatch):
    monkeypatch.setattr(journal, "EXPORT_BATCH", 2)
    org = world.open(limit="100")
    for _ in range(5):
        world.charge(org, "1")
    before = world.database.engine.pool.checkedout()
    lines = world.call("GET", path(org), Accept="text/csv").iter_encoded()
    seen = [next(lines) for _ in range(4)]
    assert world.database.engine.pool.checkedout() == before
    assert len([*seen, *lines]) == 6


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda world, org: world.call("GET", path(org)), "pk_journal"),
        (lambda world, org: world.call("GET", path(org, "?kind=top_up")), "ix_journal_kind"),
        (lambda world, org: world.call("GET", path(org, f"/{ids.new('txn')}")), "uq_journal"),
        (lambda world, org: world.call("GET", path(org, "?direction=in")), "ix_journal_in"),
        (lambda world, org: world.account(org), "pk_spendings"),
        (lambda world, org: world.call("GET", "/v1/wallet"), "ix_accounts_provider_id"),
        (
            lambda world, org: world.call("GET", "/v1/wallet/transactions?currency=EUR"),
            "pk_journal",
        ),
    ],
    ids=["list", "kind", "one", "in", "burn", "wallet", "wallet's own"],
)
def test_every_query_of_the_journal_uses_an_index(world, busy, ask, index, monkeypatch):
    statements, fetch = [], Direct._fetch

    def note(connection, cursor, statement, parameters, context, many):
        if "FROM journal" in statement or "FROM spendings" in statement:
            statements.append((statement, parameters))

    def fetch_noting(direct, text, values):
        note(None, None, text, values, None, many=False)
        return fetch(direct, text, values)

    monkeypatch.setattr(Direct, "_fetch", fetch_noting)
    event.listen(world.database.engine, "before_cursor_execute", note)
    ask(world, busy)
    event.remove(world.database.engine, "before_cursor_execute", note)
    assert statements
    with world.database.reading() as session:
        connection = session.connection()
        if not world.database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_sort = off")
        explain = "EXPLAIN QUERY PLAN " if world.database.is_sqlite else "EXPLAIN "
        plans = [
            "\n".join(
                str(row) for row in connection.exec_driver_sql(explain + statement, parameters)
            )
            for statement, parameters in statements
        ]
    assert all(
        "Seq Scan" not in plan and "SCAN journal" not in plan and "SCAN spendings" not in plan
        for plan in plans
    ), plans
    if not world.database.is_sqlite or not index.startswith(("pk", "uq")):
        assert index in plans[0], plans
