"""A customer is created, step by step."""

from urllib.parse import parse_qs, urlsplit

import pytest
from console.values import locale

from tests.console.browser import ORIGIN, Browser, Page
from tests.console.provider import PASSWORD, Provider

ORGANIZATION = {"name": "Söhne & Töchter", "country": "DE", "pricing_model": "license"}
BILLING = {"billing_email": "bills@soehne.example", "billing_city": "Kiel", "customer_ref": "K-17"}
OWNER = {"given_name": "Ada", "family_name": "Nord", "email": "ada@soehne.example"}


def fill_in(
    console: Browser,
    *,
    organization: dict[str, str] | None = None,
    billing: dict[str, str] | None = None,
    owner: dict[str, str] | None = None,
) -> Page:
    """The three pages of the wizard; answers the fourth."""
    console.get(console.at("/customers/new"))
    console.submit(ORGANIZATION | (organization or {}), button="Continue")
    console.submit(BILLING | (billing or {}), button="Continue")
    return console.submit(OWNER | (owner or {}), button="Continue")


def customers(provider: Provider) -> list[dict[str, object]]:
    return list(provider.api("GET", "/v1/organizations")["data"])


def test_submitting_twice_creates_one_customer(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    page = fill_in(console)
    assert page.facts["Currency"].startswith("EUR") and page.facts["Time zone"].startswith(
        "Europe/Berlin"
    )
    assert page.facts["Billing name"] == "Söhne & Töchter (same as organization name)"
    assert page.text.count("Permanent") == 5, "four facts, and the line that explains it"
    form = page.forms[-1]

    once = console.send("POST", form.action, form.fields)
    twice = console.send("POST", form.action, form.fields)

    assert once.status == 303 and once.location == twice.location
    (made,) = customers(provider)
    assert (made["name"], made["pricing_model"], made["status"]) == (
        "Söhne & Töchter",
        "license",
        "active",
    )
    assert made["billing"] == {
        "name": "Söhne & Töchter",
        "email": "bills@soehne.example",
        "address": None,
        "city": "Kiel",
    }
    assert made["buyer_tags"] == {"CustomerRef": "K-17"}
    assert "was created" in console.follow().banners[0]
    assert console.get(console.at("/customers/new")).forms[-1].fields["name"] == "", (
        "the draft is gone"
    )


def test_a_draft_keeps_answers_between_steps(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    console.get(console.at("/customers/new"))
    console.submit(ORGANIZATION, button="Continue")

    page = console.submit({"billing_city": "Kiel"}, button="Back")
    assert page.headings[1] == "Organization"
    assert page.forms[-2].fields["name"] == ORGANIZATION["name"]

    page = console.get(
        console.at("/customers/new")
    )  # another day, or another tab: it goes on where it was
    assert page.headings[1] == "Billing" and page.forms[-2].fields["billing_city"] == "Kiel"

    page = console.submit(button="Start over")
    assert page.forms[-1].fields["name"] == "" and page.headings[1] == "Organization"


def test_a_lost_draft_loses_no_answers(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    form = fill_in(console).forms[-1]

    page = console.send(
        "POST", form.action, form.fields | {"draft": "drf_01h455vb4pex5vsknk084sn02q"}
    )

    assert page.status == 303 and customers(provider)[0]["name"] == ORGANIZATION["name"]


def test_a_session_that_ends_midway_loses_nothing(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    console.get(console.at("/customers/new"))
    console.submit(ORGANIZATION, button="Continue")
    console.client.delete_cookie("clientele", domain="127.0.0.1")

    console.submit({"billing_city": "Kiel"}, button="Continue")
    page = console.submit({"email": provider.email, "password": PASSWORD})

    assert page.headings[1] == "Billing" and "We restored your entries" in page.banners[0]
    assert (
        page.forms[-2].fields["billing_city"] == "Kiel"
        and page.forms[-2].fields["name"] == ORGANIZATION["name"]
    )


def test_missing_answers_are_shown_at_their_fields(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    console.get(console.at("/customers/new"))

    page = console.submit({"name": "A", "country": "US"}, button="Continue")

    assert page.status == 422 and page.title.startswith("Error:")
    assert page.error("name") and page.error("pricing_model")
    assert "more than one" in page.error("timezone") and not page.error("currency")
    assert page.forms[-2].options("timezone")[1] == "America/Adak", (
        "those of the country come first"
    )
    page = console.submit(
        {"name": "Ab", "timezone": "America/Boise", "pricing_model": "app"}, button="Continue"
    )
    page = console.submit(BILLING | {"payment_mode": "postpaid"}, button="Continue")
    assert "limit" in page.error("credit_limit")


@pytest.mark.parametrize(
    ("where", "fields", "wrong"),
    [
        ("organization", {"organization": {"name": "Comma, not allowed"}}, "name"),
        (
            "billing",
            {"billing": {"payment_mode": "postpaid", "credit_limit": "9999999999999"}},
            "credit_limit",
        ),
        ("owner", {"owner": {"email": "not an address"}}, "email"),
    ],
)
def test_a_refusal_leads_back_to_the_step_with_the_field(
    console: Browser, provider: Provider, where: str, fields: dict[str, dict[str, str]], wrong: str
) -> None:
    provider.owner.sign_in(console)
    fill_in(console, **fields)

    page = console.submit(button="Create organization")

    assert page.status == 422 and page.headings[1] == where.capitalize() and page.error(wrong)
    assert not customers(provider)
    right = {"name": "Sound", "credit_limit": "1000", "email": "ada@soehne.example"}[wrong]
    console.submit({wrong: right}, button="Continue")
    assert console.submit(button="Create organization").path.endswith("/overview")


def test_a_duplicate_name_is_shown_before_creation(console: Browser, provider: Provider) -> None:
    provider.customer(ORGANIZATION["name"].upper(), accept=False)
    provider.customer(f"{ORGANIZATION['name']} too", accept=False)
    provider.owner.sign_in(console)

    page = fill_in(console)

    assert "Another customer has this name" in page.banners[0]


def test_a_customer_being_set_up_shows_a_banner(console: Browser, provider: Provider) -> None:
    provider.owner.sign_in(console)
    body = {
        **ORGANIZATION,
        "currency": "EUR",
        "timezone": "Europe/Berlin",
        "billing": {"email": "b@soehne.example"},
        "owner": OWNER,
    }
    signed_in = provider.system.call(
        "POST", "/v1/sessions", {"email": provider.email, "password": PASSWORD}
    )
    token = (signed_in.json or {})["access_token"]
    made = provider.system.call("POST", "/v1/organizations", body, token=token).json or {}

    path = console.at(f"/c/{made['id']}/settings")
    page = Page(path, console.client.open(path, base_url=ORIGIN))  # no message is delivered
    (banner,) = page.top.find(id="status")

    assert banner.text.startswith("Being set up.") and banner.attrs["hx-trigger"] == "every 2s"
    assert "Save" not in page.buttons
    response = console.send(
        "GET", banner.attrs["hx-get"], headers={"HX-Current-URL": f"{ORIGIN}{page.path}"}
    )
    assert response.headers["HX-Redirect"] == page.path, "by now it is done"


def test_each_page_needs_few_statements(console: Browser, provider: Provider) -> None:
    acme = provider.customer("Acme", credits="10")
    provider.owner.sign_in(console)
    fill_in(console)
    draft = parse_qs(urlsplit(console.page.path).query)["draft"][0]
    for path in (
        "/customers/new/organization",
        f"/customers/new/check?draft={draft}",
        f"/c/{acme.id}/settings",
        f"/c/{acme.id}/delete",
        "/provider/settings",
        "/provider/wallet",
    ):
        assert len(console.statements(console.at(path))) <= 12, path


def test_time_zones_are_kept_only_for_countries_that_exist() -> None:
    assert locale.zones("x" * 1000) is locale.zones()
    assert locale.zones("CH")[0] == ("Europe/Zurich", "Europe/Zurich")
