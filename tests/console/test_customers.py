"""Home, the list of customers with its CSV file, and the overview of a customer."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from chassis.errors import Unavailable
from chassis.http.client import ServiceResponse

from tests.console.browser import Browser, Page
from tests.console.dom import Element
from tests.console.provider import Customer, Provider
from tests.console.system import Whole

# Every sign a name may begin with that means something to a spreadsheet or to a browser.
HOSTILE = (
    "=1+1",
    "+44 Ltd.",
    "-2 Degrees",
    "@home",
    "<b>Bold & Brave</b>",
    "\"Quoted\" 'Both'",
    "</title><script>",
)


@pytest.fixture
def staff(console: Browser, provider: Provider) -> Browser:
    """The provider's owner, signed in."""
    provider.owner.sign_in(console)
    return console


class Away:
    """A transport that does not respond for some paths."""

    def __init__(self, wire: Any, *paths: str) -> None:
        self.wire, self.paths = wire, paths

    def send(
        self, method: str, path: str, headers: Any, body: bytes | None = None
    ) -> ServiceResponse:
        if any(part in path for part in self.paths):
            raise Unavailable(
                "The service is temporarily unavailable. Try again.", code="service_unavailable"
            )
        response: ServiceResponse = self.wire.send(method, path, headers, body)
        return response


@contextmanager
def unavailable(whole: Whole, *paths: str) -> Iterator[None]:
    """The API does not respond for these paths."""
    kept = whole.console.extensions["gateway"]
    whole.console.extensions["gateway"] = Away(kept, *paths)
    try:
        yield
    finally:
        whole.console.extensions["gateway"] = kept


def names(page: Page) -> list[str]:
    """The listed customers, in order."""
    return [row.find("a")[0].text for row in page.top.find("tr") if "data-row" in row.attrs]


def card(page: Page, title: str) -> Element:
    """The card with this title."""
    return next(
        one for one in page.top.find("section", class_="card") if one.find("h2")[0].text == title
    )


def failed(page: Page) -> list[str]:
    """The titles of the cards that could not be loaded."""
    cards = page.top.find("section", class_="card")
    return sorted(one.find("h2")[0].text for one in cards if one.find(class_="missing"))


def lines(page: Page) -> list[list[str]]:
    """The file, read by a strict parser."""
    text = page.response.get_data().decode("utf-8")
    assert (
        text.startswith("\ufeff") and text.endswith("\r\n") and "\n" not in text.replace("\r\n", "")
    )
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True))


def table(page: Page) -> dict[str, dict[str, str]]:
    """The file: name -> column -> cell."""
    head, *rows = lines(page)
    return {row[head.index("name")]: dict(zip(head, row, strict=True)) for row in rows}


# the list


def test_filters_are_in_the_address_and_in_the_form(staff: Browser, provider: Provider) -> None:
    provider.customer("Prepaid One", demo=True)
    provider.customer(
        "Postpaid Two", payment_mode="postpaid", credit_limit="100", currency="USD", country="US"
    )
    page = staff.get(staff.at("/customers"))
    form = next(
        one for one in page.forms if one.action == staff.at("/customers") and "status" in one.names
    )

    filters = {
        "q": "",
        "status": "active",
        "payment_mode": "postpaid",
        "country": "US",
        "currency": "USD",
        "demo": "false",
        "attention": "",
    }
    assert filters.keys() - {"q"} <= form.names
    page = staff.get(
        form.action + "?" + "&".join(f"{name}={value}" for name, value in filters.items())
    )

    # Empty filters are not in the address.
    assert page.path == staff.at(
        "/customers?status=active&payment_mode=postpaid&country=US&currency=USD&demo=false"
    )
    assert names(page) == ["Postpaid Two"]
    form = next(one for one in page.forms if "status" in one.names)
    assert {name: form.fields[name] for name in filters if filters[name]} == {
        n: v for n, v in filters.items() if v
    }
    assert "Filtered by Active, Postpaid, United States, USD, Not demo." in page.text


def test_search_stays_while_sorting_and_paging_by_links(staff: Browser, provider: Provider) -> None:
    for name in ("Alpha Shop", "Beta Shop", "Gamma Bar"):
        provider.customer(name)

    page = staff.get(staff.at("/customers?q=shop"))
    assert names(page) == ["Alpha Shop", "Beta Shop"]
    assert page.top.find("input", id="find")[0].attrs["value"] == "shop"
    page = staff.click("Name")

    assert names(page) == ["Beta Shop", "Alpha Shop"]
    assert "q=shop" in page.path and "sort=-name" in page.path


def test_the_list_is_sorted_by_its_headers(staff: Browser, provider: Provider) -> None:
    for name, amount in (("Aa", "5"), ("Bb", "500"), ("Cc", "50")):
        provider.customer(name, credits=amount)

    page = staff.get(staff.at("/customers"))
    assert [one.text for one in page.top.find("th", aria_sort="ascending")] == ["Name"]
    page = staff.click("Usable credits")
    assert names(page) == ["Aa", "Cc", "Bb"]
    assert [one.text for one in page.top.find("th", aria_sort="ascending")] == ["Usable credits"]
    page = staff.click("Usable credits")
    assert names(page) == ["Bb", "Cc", "Aa"]
    assert [one.text for one in page.top.find("th", aria_sort="descending")] == ["Usable credits"]
    page = staff.click("Created")
    assert names(page) == ["Cc", "Bb", "Aa"] and "sort=-created_at" in page.path


def test_searching_while_typing_keeps_the_address_clean(staff: Browser, provider: Provider) -> None:
    provider.customer("Typed Ltd.")

    page = staff.send(
        "GET", staff.at("/customers?q=typed&status=&attention="), headers={"HX-Request": "true"}
    )

    assert page.status == 200 and names(page) == ["Typed Ltd."]
    assert page.headers["HX-Replace-Url"] == staff.at("/customers?q=typed")
    assert "HX-Request" in page.headers["Vary"]
    assert page.top.find(id="live")[0].text == "1 customer shown."
    form = next(one for one in page.top.find("form") if one.attrs.get("id") == "filters")
    assert form.attrs["hx-sync"] == "this:replace" and "delay:200ms" in form.attrs["hx-trigger"]


def test_an_invalid_filter_can_be_cleared(staff: Browser, provider: Provider) -> None:
    page = staff.get(staff.at("/customers?status=bogus&country=XX"))

    assert page.status == 422 and page.title.startswith("Error: ")
    assert "Status: “bogus”" in page.text and "Country: “XX”" in page.text
    assert staff.click("Clear filters").status == 200


def test_an_empty_result_shows_the_filters_and_how_to_clear_them(
    staff: Browser, provider: Provider
) -> None:
    provider.customer("Somebody")

    page = staff.get(staff.at("/customers?q=nobody&status=suspended"))

    assert "No customers match" in page.headings and "Filtered by “nobody”, Suspended." in page.text
    assert names(staff.click("Clear filters")) == ["Somebody"]


def test_an_empty_list_offers_to_create_the_first_customer(staff: Browser) -> None:
    page = staff.get(staff.at("/customers"))

    assert "No customers yet" in page.headings
    assert page.links["Create organization"] == staff.at("/customers/new")


def test_creating_needs_permission(console: Browser, provider: Provider) -> None:
    provider.staff("viewer").sign_in(console)

    page = console.get(console.at("/customers"))

    assert page.status == 200 and not [words for words in page.links if words.startswith("Create")]


def test_attention_is_marked_and_filtered(staff: Browser, provider: Provider) -> None:
    provider.customer("Unverified", accept=False)
    provider.customer("Fine")

    page = staff.get(staff.at("/customers?attention=owner_unverified"))

    assert names(page) == ["Unverified"]
    assert "Owner not verified" in page.rows[0][1]


def test_customer_members_see_no_list(console: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme")
    acme.owner.sign_in(console)

    assert console.get(console.at("/customers")).path == console.at(f"/c/{acme.id}/overview")


def test_hostile_names_are_text_wherever_they_are_shown(staff: Browser, provider: Provider) -> None:
    made = {name: provider.customer(name, accept=False) for name in HOSTILE}

    for path in ("/customers", "/home", *(f"/c/{made[name].id}/overview" for name in HOSTILE[-3:])):
        page = staff.get(staff.at(path))
        assert page.status == 200
        assert not page.top.find("b") and not [
            s for s in page.top.find("script") if "src" not in s.attrs
        ]
    assert sorted(names(staff.get(staff.at("/customers")))) == sorted(HOSTILE)


# the file


def test_the_file_has_names_as_text_and_amounts_as_numbers(
    staff: Browser, provider: Provider
) -> None:
    for name in HOSTILE:
        provider.customer(name, accept=False)
    overdrawn = provider.customer(
        "Overdrawn",
        credits="10",
        owner={"given_name": "=cmd", "family_name": "Owner", "email": f"x@{provider.word}.example"},
        accept=False,
    )
    overdrawn.money("adjustments", amount="-12.5", kind="correction", reason="wrong rate")

    page = staff.get(staff.at("/customers.csv"))

    assert page.headers["Content-Type"] == "text/csv; charset=utf-8" and page.headers[
        "Content-Disposition"
    ].startswith('attachment; filename="customers-')
    rows = table(page)
    expected = {f"'{name}" if name[0] in "=+-@" else name for name in HOSTILE} | {"Overdrawn"}
    assert rows.keys() == expected
    assert (
        Decimal(rows["Overdrawn"]["balance"]) == Decimal("-2.5")
        and rows["Overdrawn"]["currency"] == "EUR"
    )
    assert rows["Overdrawn"]["owner"] == "'=cmd Owner"
    run = [cell for row in lines(page)[1:] for cell in row if cell[:1] in tuple("=+-@\t\r\n")]
    assert all(Decimal(cell) < 0 for cell in run)


def test_the_file_has_the_filtered_customers(staff: Browser, provider: Provider) -> None:
    provider.customer("In")
    provider.customer("Out").suspend()

    staff.get(staff.at("/customers?status=active"))
    page = staff.click("Export these as CSV")

    assert set(table(page)) == {"In"}


def test_an_incomplete_file_says_so_in_its_last_line(
    staff: Browser, provider: Provider, monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    for number in range(5):
        provider.customer(f"Customer {number}", accept=False)
    monkeypatch.setattr("console.views.customers._BATCH", 2)

    assert len(lines(staff.get(staff.at("/customers.csv")))) == 6
    monkeypatch.setattr("console.views.customers._MAX_LINES", 4)
    cut = lines(staff.get(staff.at("/customers.csv")))
    assert len(cut) == 6 and len(cut[-1]) == 1 and "only the first 4 customers" in cut[-1][0]
    with unavailable(whole, "cursor="):
        broken = lines(staff.get(staff.at("/customers.csv")))
    assert len(broken) == 4 and "stopped after 2 customers" in broken[-1][0]


# home


def test_home_shows_what_needs_attention(staff: Browser, provider: Provider) -> None:
    provider.customer("Unverified", accept=False)
    overdrawn = provider.customer("Overdrawn", credits="10")
    overdrawn.money("adjustments", amount="-12", kind="correction", reason="wrong rate")
    burning = provider.customer("Burning", credits="10")
    burning.money("charges", amount="9", kind="usage", description="calls")
    provider.customer("Leaving").delete()

    page = staff.get(staff.at("/home"))

    groups = {
        one.find("h3")[0].text: [li.find("a")[0].text for li in one.find("li")]
        for one in card(page, "Needs attention").find("section")
        if one.find("h3")
    }
    assert groups["Owner not verified"] == ["Unverified"] and groups["Credits below zero"] == [
        "Overdrawn"
    ]
    assert "Burning" in groups["Credits run out within 7 days"]
    assert card(page, "Scheduled deletions").text.endswith("Leaving 30 days")
    assert "You're all caught up" not in page.text
    assert "Overdrawn" in card(page, "Recent customers").text
    assert names(staff.click("Owner not verified")) == ["Unverified"]


def test_home_says_when_nothing_needs_attention(staff: Browser, provider: Provider) -> None:
    provider.customer("Fine")

    page = staff.get(staff.at("/home"))

    assert "You're all caught up." in page.text and "Checked at" in page.text


def test_home_lists_active_support_sessions(staff: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme")
    acme.staff("POST", f"/members/{acme.owner.id}/login-as", {"reason": "they called <us>"})

    words = card(staff.get(staff.at("/home")), "Active support sessions").text

    assert "as Olga Owner at Acme" in words and "they called <us>" in words


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/v1/wallet", "Provider wallet"),
        ("/v1/remote-support", "Active support sessions"),
        ("attention=deletion_scheduled", "Scheduled deletions"),
        ("sort=-created_at", "Recent customers"),
        ("attention=owner_unverified", "Needs attention"),
    ],
)
def test_each_card_of_home_fails_alone(
    staff: Browser, provider: Provider, whole: Whole, path: str, title: str
) -> None:
    provider.customer("Fine")
    with unavailable(whole, path):
        page = staff.get(staff.at("/home"))

    quiet = title not in ("Needs attention", "Scheduled deletions")
    assert page.status == 200 and ("You're all caught up" in page.text) == quiet
    assert failed(page) == [title]


# one customer


def test_the_overview_of_a_prepaid_account(staff: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme", credits="100", buyer_tags={"CustomerRef": "C-1"})
    acme.money("charges", amount="30", kind="usage", description="<i>calls</i>")
    acme.loginless()
    acme.member("admin")

    page = staff.get(staff.at(f"/c/{acme.id}/overview"))

    assert "70.00\N{NO-BREAK SPACE}EUR" in card(page, "Credits").text.replace(
        " ", "\N{NO-BREAK SPACE}"
    )
    assert page.facts["Balance"] == "70.00" and page.facts["CustomerRef"] == "C-1"
    assert (page.facts["Admins"], page.facts["No portal access"]) == ("1", "1")
    # 30 in 14 days: 70 last 32 days.
    assert page.facts["Days to empty"] == "32"
    chart = page.top.find("svg", role="img")[0].attrs["aria-label"]
    day = datetime.now(ZoneInfo("Europe/Berlin")) + timedelta(days=32)
    assert "70.00" in chart and f"{day:%b %Y}" in chart
    assert "<i>calls</i>" in card(page, "Recent transactions").text
    assert "Member added · Olga Owner" in card(page, "Recent activity").text
    assert not page.top.find("i") and "style" not in {
        name for one in page.top.all for name in one.attrs
    }


def test_the_overview_of_a_postpaid_account(staff: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme", payment_mode="postpaid", credit_limit="100")
    acme.money("charges", amount="30", kind="usage", description="calls")

    page = staff.get(staff.at(f"/c/{acme.id}/overview"))

    assert (
        page.facts["Expecting invoice"] == "\N{MINUS SIGN}30.00 owed"
        and page.facts["Credit limit"] == "100.00"
    )
    assert "Days to empty" not in page.facts and "Balance" not in page.facts


@pytest.mark.parametrize(
    ("path", "titles"),
    [
        ("/account/transactions", ["Balance over 30 days", "Recent transactions"]),
        ("/members", ["Members"]),
        ("/timeline", ["Recent activity"]),
        ("/account", ["Balance over 30 days", "Credits", "Recent transactions"]),
    ],
)
def test_each_card_of_the_overview_fails_alone(
    staff: Browser, provider: Provider, whole: Whole, path: str, titles: list[str]
) -> None:
    acme = provider.customer("Acme", credits="5")
    with unavailable(whole, path):
        page = staff.get(staff.at(f"/c/{acme.id}/overview"))

    assert page.status == 200 and failed(page) == titles
    assert "The service is temporarily unavailable" in page.text


def test_an_unavailable_service_affects_only_its_own_cards(
    staff: Browser, provider: Provider, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = provider.customer("Acme", credits="5")
    monkeypatch.setattr(whole._wires["billing"], "forward", Away(None, "").send)

    page = staff.get(staff.at(f"/c/{acme.id}/overview"))

    assert page.status == 200 and failed(page) == [
        "Balance over 30 days",
        "Credits",
        "Recent transactions",
    ]
    assert page.facts["Owner"].startswith("Olga Owner")


def test_quick_actions_depend_on_the_role(browser: Any, provider: Provider) -> None:
    acme = provider.customer("Acme")
    seen = {}
    for who in (provider.owner, provider.staff("viewer"), acme.owner, acme.member("member")):
        console = browser()
        who.sign_in(console)
        page = console.get(console.at(f"/c/{acme.id}/overview"))
        assert page.status == 200
        seen[who.email] = [
            words for words in ("Top up", "Add member", "Edit", "Suspend") if words in page.links
        ]

    assert list(seen.values()) == [
        ["Top up", "Add member", "Edit", "Suspend"],
        [],
        ["Add member", "Edit"],
        [],
    ]


def test_a_scheduled_deletion_shows_its_date(staff: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme")
    acme.delete()

    page = staff.get(staff.at(f"/c/{acme.id}/overview"))

    assert any("permanently deleted on" in words for words in page.banners)
    assert "Top up" not in page.links and "Permanent deletion" in page.facts


# budgets


def test_each_page_needs_few_statements(staff: Browser, provider: Provider, browser: Any) -> None:
    acme, theirs = _busy(provider), browser()
    acme.owner.sign_in(theirs)
    overview = f"/c/{acme.id}/overview"

    counted = {
        path: len(staff.statements(staff.at(path)))
        for path in (
            "/home",
            "/customers",
            "/customers?q=a&status=active&sort=-usable_credits",
            overview,
        )
    }
    counted["their own"] = len(theirs.statements(theirs.at(overview)))

    assert all(count <= 12 for count in counted.values()), counted


def _busy(provider: Provider) -> Customer:
    """Customers with something for every part of Home."""
    provider.customer("Unverified", accept=False)
    provider.customer("Leaving").delete()
    acme = provider.customer("Acme", credits="10")
    acme.money("charges", amount="9", kind="usage", description="calls")
    acme.staff("POST", f"/members/{acme.owner.id}/login-as", {"reason": "a test"})
    return acme
