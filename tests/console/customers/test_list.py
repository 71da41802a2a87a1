"""The list of customers: search, filters, sorting, paging."""

from tests.console.browser import Browser
from tests.console.customers.pages import HOSTILE, names
from tests.console.provider import Provider


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
    page = staff.click("Created (UTC)")
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
